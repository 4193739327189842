// `npm run build`: bundles the extension, the emulator's worker, the command line and the webviews into `dist/`.
// The extension is bundled twice from one source: for Node hosts and for browser hosts (DESIGN section 1).
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { importViolations } from "./check-imports.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const dist = join(root, "dist");

/** iced-x86 reads its .wasm beside itself through `fs`; a bundle has no file there, so the bytes go in as base64. */
const icedX86: Plugin = {
	name: "iced-x86",
	setup(build) {
		build.onLoad({ filter: /[\\/]iced-x86[\\/]iced_x86\.js$/ }, (args) => {
			const source = readFileSync(args.path, "utf8");
			const loader =
				/const path = require\('path'\)\.join\(__dirname, 'iced_x86_bg\.wasm'\);\s*const bytes = require\('fs'\)\.readFileSync\(path\);/;
			if (!loader.test(source))
				throw new Error(`${args.path}: does not load its .wasm as the bundler expects; mend test/tools/bundle.ts`);
			const wasm = readFileSync(join(dirname(args.path), "iced_x86_bg.wasm")).toString("base64");
			const bytes = `const bytes = Uint8Array.from(atob(${JSON.stringify(wasm)}), (letter) => letter.charCodeAt(0));`;
			// It decodes text with util.TextDecoder; every host of ours has that as a global.
			const contents = source
				.replace(loader, () => bytes)
				.replace(/const \{ ([A-Za-z, ]+) \} = require\(`util`\);/, "const { $1 } = globalThis;");
			return { contents, loader: "js" };
		});
	},
};

/** The few parts of Node that @vscode/debugadapter names and a browser has not. */
const browserStandIns: Plugin = {
	name: "browser-stand-ins",
	setup(build) {
		const standIns: Record<string, string> = {
			url: "export const URL = globalThis.URL;",
			events: `export class EventEmitter {
				#listeners = new Map();
				on(name, listener) { this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]); return this; }
				emit(name, ...values) { for (const listener of this.#listeners.get(name) ?? []) listener.apply(this, values); return this.#listeners.has(name); }
			}`,
		};
		build.onResolve({ filter: /^(url|events)$/ }, (args) => ({ path: args.path, namespace: "stand-in" }));
		build.onLoad({ filter: /.*/, namespace: "stand-in" }, (args) => ({ contents: standIns[args.path]!, loader: "js" }));
	},
};

const common: BuildOptions = {
	absWorkingDir: root,
	bundle: true,
	minify: true,
	keepNames: true,
	sourcemap: true,
	sourcesContent: false,
	legalComments: "none",
	logLevel: "warning",
	target: "es2022",
	external: ["vscode"],
	plugins: [icedX86],
};
const node: BuildOptions = { ...common, platform: "node", target: "node20" };
const browser: BuildOptions = {
	...common,
	platform: "browser",
	plugins: [icedX86, browserStandIns],
	define: { global: "globalThis" },
};
/** A Node bundle in ESM has no `require`, which CommonJS packages inside it call for Node's own modules. */
const requireInModules = {
	js: 'import { createRequire as createRequireForBundle } from "node:module"; const require = createRequireForBundle(import.meta.url);',
};

/** Every webview: a folder below `webviews/` with a `main.ts`. */
function webviewEntries(): { in: string; out: string }[] {
	return readdirSync(join(root, "webviews"), { withFileTypes: true })
		.filter((entry) => entry.isDirectory() && existsSync(join(root, "webviews", entry.name, "main.ts")))
		.map((entry) => ({ in: `webviews/${entry.name}/main.ts`, out: entry.name }));
}

function bundles(): BuildOptions[] {
	const wanted: BuildOptions[] = [
		{ ...node, entryPoints: ["extension/entry-node.ts"], outfile: "dist/extension.cjs", format: "cjs" },
		{ ...browser, entryPoints: ["extension/entry-browser.ts"], outfile: "dist/web/extension.cjs", format: "cjs" },
		{
			...node,
			entryPoints: ["extension/worker/node-worker.ts"],
			outfile: "dist/emulator-worker.mjs",
			format: "esm",
			banner: requireInModules,
		},
		{
			...browser,
			entryPoints: ["extension/worker/web-worker.ts"],
			outfile: "dist/web/emulator-worker.js",
			format: "iife",
		},
		{
			...node,
			entryPoints: ["extension/cli/hyperscope.ts"],
			outfile: "dist/hyperscope.mjs",
			format: "esm",
			banner: { js: `#!/usr/bin/env node\n${requireInModules.js}` },
		},
		// Runs in the extension host, for the editor tests; it is not shipped.
		{ ...node, entryPoints: ["test/workbench/in-host/index.ts"], outfile: "dist/test/in-host.cjs", format: "cjs" },
		{ ...browser, entryPoints: webviewEntries(), outdir: "dist/webviews", format: "iife" },
	];
	return wanted.filter((options) => {
		const entries = options.entryPoints as (string | { in: string })[];
		return (
			entries.length > 0 &&
			entries.every((entry) => existsSync(join(root, typeof entry === "string" ? entry : entry.in)))
		);
	});
}

/**
 * Lists the samples for the extension: a browser host cannot list its folders. A sample is a folder of
 * `extension/samples/` with a launch configuration; the folder `common` goes with each.
 */
function listSamples(): { name: string; title: string; files: string[] }[] {
	const folder = join(root, "extension/samples");
	const filesBelow = (name: string) =>
		readdirSync(join(folder, name), { recursive: true, withFileTypes: true })
			.filter((entry) => entry.isFile() && !/[\\/]build([\\/]|$)/.test(entry.parentPath))
			.map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
			.sort();
	const common = existsSync(join(folder, "common")) ? filesBelow("common") : [];
	return readdirSync(folder)
		.filter((name) => existsSync(join(folder, name, ".vscode/launch.json")))
		.map((name) => {
			const readme = join(folder, name, "README.md");
			const paragraph = existsSync(readme) ? readFileSync(readme, "utf8").split("\n\n")[1] : undefined;
			const sentence = (paragraph ?? name).replace(/\s+/g, " ").split(/[.:]/)[0]!;
			return { name, title: sentence.replaceAll("`", ""), files: [...filesBelow(name), ...common] };
		});
}

/** Files in `dist/` that are shipped, with their size in bytes, plain and gzipped. */
function sizes(): { file: string; bytes: number; gzip: number }[] {
	return readdirSync(dist, { recursive: true, encoding: "utf8" })
		.filter((file) => /\.(js|cjs|mjs|css)$/.test(file))
		.sort()
		.map((file) => ({
			file: relative(root, join(dist, file)).replaceAll("\\", "/"),
			bytes: statSync(join(dist, file)).size,
			gzip: gzipSync(readFileSync(join(dist, file))).length,
		}));
}

const violations = importViolations();
if (violations.length > 0) {
	for (const sentence of violations) console.error(sentence);
	process.exit(1);
}
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
for (const options of bundles()) await build(options);
writeFileSync(join(dist, "samples.json"), JSON.stringify(listSamples()));
const measured = sizes();
writeFileSync(join(dist, "sizes.json"), `${JSON.stringify(measured, null, "\t")}\n`);
for (const { file, bytes, gzip } of measured)
	console.log(
		`${file.padEnd(34)}${(bytes / 1024).toFixed(0).padStart(6)} KiB${(gzip / 1024).toFixed(0).padStart(6)} KiB gzip`,
	);
