// The direction of imports (DESIGN: "Dependencies run one way"). An import that runs back fails the check and the build.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** For each part: the parts that it may import besides itself. */
const allowed: Record<string, readonly string[]> = {
	"emulator/isa": [],
	"emulator/engine": ["emulator/isa"],
	"emulator/cpu": ["emulator/engine", "emulator/isa"],
	"emulator/devices": ["emulator/isa"],
	"emulator/machine": ["emulator/devices", "emulator/cpu", "emulator/engine", "emulator/isa"],
	"emulator/vmm": ["emulator/machine", "emulator/devices", "emulator/cpu", "emulator/engine", "emulator/isa"],
	"debug-adapter": ["emulator"],
	extension: ["debug-adapter", "emulator", "webviews/messages.ts"],
	webviews: ["debug-adapter/protocol.ts"],
	test: ["extension", "debug-adapter", "emulator", "webviews"],
};
/** The only files below `emulator/` and `debug-adapter/` that may import `node:*`. */
const hostServices = new Set(["emulator/machine/host-services.ts", "debug-adapter/host-services.ts"]);

function partOf(path: string): string {
	const parts = path.split("/");
	const two = parts.slice(0, 2).join("/");
	return two in allowed ? two : parts[0]!;
}

function* sources(folder: string): Generator<string> {
	if (!existsSync(join(root, folder))) return;
	for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
		const path = `${folder}/${entry.name}`;
		if (entry.isDirectory()) {
			if (entry.name !== "node_modules" && path !== "extension/samples") yield* sources(path);
		} else if (/\.tsx?$/.test(entry.name)) yield path;
	}
}

/** The sentences that say which import breaks the direction; empty when all is well. */
export function importViolations(): string[] {
	const found: string[] = [];
	for (const folder of ["emulator", "debug-adapter", "extension", "webviews", "test"]) {
		for (const path of sources(folder)) {
			const isTest = /\.test\.tsx?$/.test(path);
			const text = readFileSync(join(root, path), "utf8");
			const part = partOf(path);
			for (const match of text.matchAll(/^(import\s+type|import|export)\b[^;]*?from\s+"([^"]+)"/gm)) {
				const target = match[2]!;
				if (target.startsWith("node:") || target === "vscode") {
					const pure = part.startsWith("emulator") || part === "debug-adapter" || part === "webviews";
					if (pure && !isTest && !hostServices.has(path))
						found.push(`${path}: imports ${target}, but only a host-services file may`);
					continue;
				}
				if (!target.startsWith(".")) continue;
				const to = relative(root, resolve(root, dirname(path), target)).replaceAll("\\", "/");
				const toPart = partOf(to);
				if (toPart === part) continue;
				const may = allowed[part]!;
				if (isTest && (part.startsWith("emulator") || toPart === "test")) continue;
				if (!may.some((name) => to === name || to.startsWith(`${name}/`) || toPart === name)) {
					found.push(
						`${path}: imports ${to}, which runs against the direction (${part} may import ${may.join(", ") || "nothing"})`,
					);
				}
			}
		}
	}
	return found;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
	const found = importViolations();
	for (const sentence of found) console.error(sentence);
	if (found.length > 0) process.exit(1);
	console.log("Imports run one way.");
}
