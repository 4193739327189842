import { OPTIONAL_DEVICES } from "../../emulator/machine/optional-devices.ts";
import type { MachineConfiguration, NamedFile } from "../../emulator/machine/virtual-machine.ts";
import type { HostServices } from "../host-services.ts";
import { fileName } from "../program/source-paths.ts";
import type { RequestArguments } from "../request-arguments.ts";
import { RequestError } from "../request-error.ts";
import { parseMemorySize } from "./memory-size.ts";

const techniques = ["none", "trap", "bt", "pv", "hvm"] as const;

/** A symbol file to open. */
export interface SymbolFileRequest {
	readonly path: string;
	readonly offset: bigint;
	readonly sections: ReadonlyMap<string, bigint>;
	readonly domain?: number;
}

/** The launch configuration (LaunchArguments of protocol.ts), checked. Files are not read yet. */
export interface LaunchConfiguration {
	readonly program: string | undefined;
	readonly initrd: string | undefined;
	readonly firmware: string | undefined;
	readonly disks: readonly string[];
	readonly domain0: string | undefined;
	readonly cdrom: string | undefined;
	readonly machine: Omit<MachineConfiguration, "image" | "initrd" | "firmware" | "disks" | "domain0" | "cdrom">;
	readonly symbolFiles: readonly SymbolFileRequest[];
	readonly sourceMap: readonly (readonly [string, string])[];
	readonly stopOnEntry: boolean;
	readonly serial: "both" | "output" | "terminal";
	readonly noDebug: boolean;
}

/** One symbol file, also the arguments of `hyperscope/loadSymbols`. @throws {RequestError} */
export function symbolFileRequest(args: RequestArguments): SymbolFileRequest {
	const sections = new Map<string, bigint>();
	for (const [name, address] of args.entries("sections")) {
		const value = /^(0x[0-9a-f]+|\d+)$/i.test(String(address).trim()) ? BigInt(String(address).trim()) : undefined;
		if (value === undefined)
			throw new RequestError(
				`The address ${JSON.stringify(address)} of section ${name} is no number such as "0x1000".`,
			);
		sections.set(name, value);
	}
	const domain = args.optionalInteger("domain", 0);
	return {
		path: args.string("path"),
		offset: args.optionalQuantity("offset") ?? 0n,
		sections,
		...(domain === undefined ? {} : { domain }),
	};
}

/** @throws {RequestError} for what is not understood or does not fit together. */
export function readLaunchConfiguration(args: RequestArguments): LaunchConfiguration {
	const program = args.optionalString("program") || undefined;
	const firmware = args.optionalString("firmware") || undefined;
	const vmm = args.optionalWord("vmm", techniques) ?? "bt";
	const mmu = args.optionalWord("mmu", ["shadow", "ept"]);
	const io = args.optionalWord("io", ["direct", "split", "passthrough"]);
	const engine = args.optionalWord("engine", ["interpreter", "compiled"]);
	const append = args.optionalString("append");
	const domain0Append = args.optionalString("domain0Append");
	const iommu = args.optionalBoolean("iommu");
	const processors = args.optionalInteger("processors", 1);
	if (mmu === "ept" && vmm !== "hvm")
		throw new RequestError(`launch: "mmu": "ept" needs "vmm": "hvm"; it is "${vmm}".`);
	const devices = args.strings("devices").map((device) => {
		const known = OPTIONAL_DEVICES.find((name) => name === device);
		if (known === undefined)
			throw new RequestError(`launch: there is no device "${device}"; "devices" takes ${OPTIONAL_DEVICES.join(", ")}.`);
		return known;
	});
	if (program === undefined && firmware === undefined)
		throw new RequestError('launch: name the image to start in "program", or a "firmware".');
	const memory = args.has("memory")
		? parseMemorySize(typeof args.raw("memory") === "number" ? args.integer("memory") : args.string("memory"))
		: parseMemorySize("256M");
	return {
		program,
		firmware,
		initrd: args.optionalString("initrd") || undefined,
		disks: args.strings("disks"),
		domain0: args.optionalString("domain0") || undefined,
		cdrom: args.optionalString("cdrom") || undefined,
		machine: {
			vmm,
			memory,
			...(mmu === undefined ? {} : { mmu }),
			...(io === undefined ? {} : { io }),
			...(engine === undefined ? {} : { engine }),
			...(append === undefined ? {} : { append }),
			...(domain0Append === undefined ? {} : { domain0Append }),
			...(iommu === undefined ? {} : { iommu }),
			...(processors === undefined ? {} : { processors }),
			...(devices.length === 0 ? {} : { devices }),
		},
		symbolFiles: args
			.stringsOrObjects("symbolFiles")
			.map((one) =>
				typeof one === "string" ? { path: one, offset: 0n, sections: new Map() } : symbolFileRequest(one),
			),
		sourceMap: args.entries("sourceMap").map(([from, to]) => [from, String(to)] as const),
		stopOnEntry: args.optionalBoolean("stopOnEntry") ?? false,
		serial: args.optionalWord("serial", ["both", "output", "terminal"]) ?? "both",
		noDebug: args.optionalBoolean("noDebug") ?? false,
	};
}

/** The bytes of a file that the configuration names. @throws {RequestError} when it cannot be read. */
export async function readNamedFile(what: string, path: string, host: HostServices): Promise<NamedFile> {
	try {
		return { name: fileName(path), bytes: await host.readFile(path) };
	} catch (error) {
		const code = (error as { code?: unknown } | undefined)?.code;
		// A host that says it in words of its own says it best.
		if (code === undefined && error instanceof Error) throw new RequestError(`${what}: ${error.message}`);
		const reason =
			code === "ENOENT" || code === "FileNotFound"
				? "there is no such file"
				: code === "EISDIR" || code === "FileIsADirectory"
					? "it is a folder"
					: code === "EACCES" || code === "NoPermissions"
						? "it may not be read"
						: "it cannot be read";
		throw new RequestError(`${what} ${path}: ${reason}.`);
	}
}
