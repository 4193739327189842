// Finds Chromium for the editor tests; as root on Debian it is installed when it is missing.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { ensureDebianPackages } from "../tools/debian-packages.ts";

const places = [
	process.env.CHROMIUM_PATH,
	"/usr/bin/chromium",
	"/usr/bin/chromium-browser",
	"/usr/bin/google-chrome",
	"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Where Chromium is, or one sentence that says why the editor tests cannot run. */
export function findChromium(): { readonly path: string } | { readonly missing: string } {
	const found = () => places.find((path) => path && existsSync(path));
	const reason = found() ? undefined : ensureDebianPackages(["chromium"]);
	const path = found();
	if (path) return { path };
	const why = reason ?? "the package is installed, but its program is not where it is expected";
	return { missing: `Chromium is missing (${why}); install it, or name its program in CHROMIUM_PATH.` };
}

/** Starts it without a window. */
export function launchChromium(executablePath: string): Promise<Browser> {
	return chromium.launch({
		executablePath,
		headless: true,
		// No sandbox: it cannot be had as root; what it shows is our own server.
		args: [
			"--no-sandbox",
			"--disable-gpu",
			"--disable-quic",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
		],
	});
}
