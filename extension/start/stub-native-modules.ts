// Native add-ons of the VS Code server that npm has only as source: a log writer and a watchdog. Without them every log
// channel would print a stack trace, so small modules with the same interface take their place
// (one assignment for each export, as an import finds the names of a CommonJS module by reading its text).
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const logWriter = `"use strict";
const { appendFile, mkdirSync } = require("node:fs");
const { dirname } = require("node:path");
class Logger {
	constructor(kind, name, file) {
		this.file = file;
		this.level = 2;
		this.plain = false;
		mkdirSync(dirname(file), { recursive: true });
	}
	write(level, text) {
		const line = this.plain ? text : new Date().toISOString() + " [" + level + "] " + text + "\\n";
		appendFile(this.file, line, () => {});
	}
	getLevel() { return this.level; }
	setLevel(level) { this.level = level; }
	clearFormatters() { this.plain = true; }
	setPattern() {}
	flush() {}
	drop() {}
}
for (const level of ["trace", "debug", "info", "warn", "error", "critical"])
	Logger.prototype[level] = function (text) { this.write(level, text); };
const create = async (name, file) => new Logger("rotating", name, file);
exports.version = 1;
exports.Logger = Logger;
exports.setLevel = () => {};
exports.setFlushOn = () => {};
exports.shutdown = () => {};
exports.createRotatingLogger = create;
exports.createAsyncRotatingLogger = create;
`;

const watchdog = `"use strict";
exports.start = () => {};
exports.exit = (status) => process.exit(status || 0);
`;

/** Writes the stand-ins into a `node_modules` wherever the add-on was not built. */
export function stubNativeModules(modules: string): void {
	const stubs: [string, string, string][] = [
		["@vscode/spdlog", "spdlog.node", logWriter],
		["@vscode/native-watchdog", "watchdog.node", watchdog],
		["native-watchdog", "watchdog.node", watchdog],
	];
	for (const [name, binary, text] of stubs) {
		const folder = join(modules, name);
		if (existsSync(folder) && !existsSync(join(folder, "build/Release", binary)))
			writeFileSync(join(folder, "index.js"), text);
	}
}
