// What tests need from the system (compilers, guests' tools) and npm has not: Debian packages, installed where that is allowed.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const MINUTES = 60_000;
/** What the package manager may wait for another one that is at work, in seconds. */
const LOCK_TIMEOUT = 300;

function runApt(args: readonly string[]): { ok: boolean; lastLine: string } {
	const done = spawnSync("apt-get", ["-q", "-y", "-o", `DPkg::Lock::Timeout=${LOCK_TIMEOUT}`, ...args], {
		encoding: "utf8",
		timeout: 15 * MINUTES,
		maxBuffer: 64 << 20,
		env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
	});
	const said = `${done.stdout ?? ""}\n${done.stderr ?? ""}`.trim().split("\n");
	const error = said.filter((line) => line.startsWith("E:")).at(-1) ?? said.at(-1) ?? "";
	return { ok: done.status === 0, lastLine: done.error ? done.error.message : error };
}

/** The packages of `names` that are not installed. */
function missingPackages(names: readonly string[]): string[] {
	return names.filter((name) => {
		const done = spawnSync("dpkg", ["--status", name], { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
		return done.status !== 0 || !/^Status: .* installed$/m.test(done.stdout);
	});
}

/**
 * Makes sure that Debian packages are installed: installs the missing ones as root on a Debian system.
 * @returns undefined when all of them are there, else one sentence with the reason. Callers skip their tests with it, or
 * fail when `process.env.CI` is set. Synchronous: the first call can take minutes.
 */
export function ensureDebianPackages(names: readonly string[]): string | undefined {
	if (!existsSync("/etc/debian_version")) return `this is not a Debian system, install by hand: ${names.join(" ")}`;
	const missing = missingPackages(names);
	if (missing.length === 0) return undefined;
	const wanted = missing.join(" ");
	if (process.getuid?.() !== 0) return `not installed, and only root may install: apt-get install ${wanted}`;
	const install = ["install", "--no-install-recommends", ...missing];
	let done = runApt(install);
	if (!done.ok) {
		// The list of packages may be missing or out of date.
		const update = runApt(["update"]);
		if (!update.ok) return `apt-get update failed: ${update.lastLine}`;
		done = runApt(install);
	}
	if (!done.ok) return `apt-get install ${wanted} failed: ${done.lastLine}`;
	const still = missingPackages(names);
	return still.length === 0 ? undefined : `apt-get install did not install ${still.join(" ")}`;
}
