// The command line of DESIGN section 6, read into a plain object. A wrong one is refused with one sentence.

import { OPTIONAL_DEVICES, type OptionalDeviceName } from "../../emulator/machine/optional-devices.ts";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";

export interface RunArguments {
	readonly image: string | undefined;
	readonly vmm: "none" | "trap" | "bt" | "pv" | "hvm";
	readonly mmu: "shadow" | "ept" | undefined;
	readonly io: "direct" | "split" | "passthrough" | undefined;
	/** Bytes. */
	readonly memory: number;
	readonly processors: number;
	readonly initrd: string | undefined;
	/** Modules of a multiboot image: a file, and after a space its command line. */
	readonly modules: readonly string[];
	readonly append: string | undefined;
	readonly firmware: string | undefined;
	readonly disks: readonly string[];
	/** Kernel of Domain 0 in place of the bundled one, and its command line. */
	readonly domain0: string | undefined;
	readonly domain0Append: string | undefined;
	readonly cdrom: string | undefined;
	readonly iommu: "on" | "off" | undefined;
	/** Where the guest's writes to its disks go when the run ends. */
	readonly diskWrites: "discard" | "file";
	/** Devices beyond the bare PC's. */
	readonly devices: readonly OptionalDeviceName[];
	/** "stdio" or a file. */
	readonly serial: string;
	readonly untilSerial: RegExp | undefined;
	readonly maxInstructions: number;
	/** Seconds. */
	readonly timeout: number;
	readonly engine: "interpreter" | "compiled" | undefined;
	readonly trace: readonly string[];
	readonly stats: string | undefined;
	/** Typed into the guest's serial port after `untilSerial` matched the first time; `--then`. */
	readonly dialogue: readonly { readonly send: string; readonly until: RegExp }[];
}

export const USAGE = `usage: hyperscope run IMAGE [--vmm none|trap|bt|pv|hvm] [--mmu shadow|ept] [--io direct|split|passthrough]
           [--memory 256M] [--processors N] [--initrd F] [--module "F ARGUMENTS"]... [--append "..."] [--firmware F] [--disk F]... [--cdrom F]
           [--domain0 F] [--domain0-append "..."] [--iommu on|off] [--disk-writes discard|file] [--device ${OPTIONAL_DEVICES.join("|")}]...
           [--serial stdio|FILE] [--until-serial REGEX] [--then TEXT REGEX]... [--max-instructions N] [--timeout SECONDS]
           [--engine interpreter|compiled] [--trace EVENTS] [--stats FILE.json]
       hyperscope compare IMAGE [--memory 256M] [--initrd F] [--append "..."] [--max-instructions N] [--json FILE]
       hyperscope dap [--port N]`;

const LEAST_MEMORY = 2 << 20;
const MOST_MEMORY = 3 * 1024 ** 3;

/** "256M", "1G", "65536K" or bytes. @throws {MachineError} */
export function parseMemory(text: string): number {
	const match = /^(\d+)([KMG]?)$/i.exec(text);
	const unit = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[match?.[2]?.toUpperCase() ?? ""] ?? 1;
	const bytes = match ? Number(match[1]) * unit : Number.NaN;
	if (!(bytes >= LEAST_MEMORY && bytes <= MOST_MEMORY) || bytes % 4096 !== 0) {
		throw new MachineError(`Memory of "${text}" is not possible: give a multiple of 4K from 2M to 3G, such as 256M.`);
	}
	return bytes;
}

function oneOf<const T extends string>(option: string, value: string, choices: readonly T[]): T {
	if ((choices as readonly string[]).includes(value)) return value as T;
	throw new MachineError(`${option} "${value}" is unknown: it takes ${choices.join(", ")}.`);
}

function regularExpression(option: string, text: string): RegExp {
	try {
		return new RegExp(text);
	} catch {
		throw new MachineError(`${option} "${text}" is not a regular expression.`);
	}
}

/** @throws {MachineError} */
export function parseCount(option: string, text: string): number {
	const value = Number(text);
	if (!(value > 0 && Number.isInteger(value)))
		throw new MachineError(`${option} "${text}" is not a whole number above 0.`);
	return value;
}

/** @throws {MachineError} */
function parseSeconds(option: string, text: string): number {
	const value = Number(text);
	if (!(value > 0 && value < Number.POSITIVE_INFINITY))
		throw new MachineError(`${option} "${text}" is not a number of seconds above 0.`);
	return value;
}

/** @throws {MachineError} */
export function parseRunArguments(words: readonly string[]): RunArguments {
	const parsed: { -readonly [K in keyof RunArguments]: RunArguments[K] } = {
		image: undefined,
		vmm: "none",
		mmu: undefined,
		io: undefined,
		memory: 256 << 20,
		processors: 1,
		initrd: undefined,
		modules: [],
		append: undefined,
		firmware: undefined,
		disks: [],
		domain0: undefined,
		domain0Append: undefined,
		cdrom: undefined,
		iommu: undefined,
		diskWrites: "discard",
		devices: [],
		serial: "stdio",
		untilSerial: undefined,
		maxInstructions: Number.POSITIVE_INFINITY,
		timeout: Number.POSITIVE_INFINITY,
		engine: undefined,
		trace: [],
		stats: undefined,
		dialogue: [],
	};
	for (let at = 0; at < words.length; at++) {
		const word = words[at]!;
		const value = (): string => {
			const next = words[++at];
			if (next === undefined) throw new MachineError(`${word} needs a value.`);
			return next;
		};
		switch (word) {
			case "--vmm":
				parsed.vmm = oneOf(word, value(), ["none", "trap", "bt", "pv", "hvm"]);
				break;
			case "--mmu":
				parsed.mmu = oneOf(word, value(), ["shadow", "ept"]);
				break;
			case "--io":
				parsed.io = oneOf(word, value(), ["direct", "split", "passthrough"]);
				break;
			case "--memory":
				parsed.memory = parseMemory(value());
				break;
			case "--processors":
				parsed.processors = parseCount(word, value());
				break;
			case "--initrd":
				parsed.initrd = value();
				break;
			case "--module":
				parsed.modules = [...parsed.modules, value()];
				break;
			case "--append":
				parsed.append = value();
				break;
			case "--firmware":
				parsed.firmware = value();
				break;
			case "--disk":
				parsed.disks = [...parsed.disks, value()];
				break;
			case "--domain0":
				parsed.domain0 = value();
				break;
			case "--domain0-append":
				parsed.domain0Append = value();
				break;
			case "--cdrom":
				parsed.cdrom = value();
				break;
			case "--iommu":
				parsed.iommu = oneOf(word, value(), ["on", "off"]);
				break;
			case "--disk-writes":
				parsed.diskWrites = oneOf(word, value(), ["discard", "file"]);
				break;
			case "--device":
				parsed.devices = [...parsed.devices, oneOf(word, value(), OPTIONAL_DEVICES)];
				break;
			case "--serial":
				parsed.serial = value();
				break;
			case "--until-serial":
				parsed.untilSerial = regularExpression(word, value());
				break;
			case "--then": {
				const send = value();
				parsed.dialogue = [...parsed.dialogue, { send, until: regularExpression(word, value()) }];
				break;
			}
			case "--max-instructions":
				parsed.maxInstructions = parseCount(word, value());
				break;
			case "--timeout":
				parsed.timeout = parseSeconds(word, value());
				break;
			case "--engine":
				parsed.engine = oneOf(word, value(), ["interpreter", "compiled"]);
				break;
			case "--trace":
				parsed.trace = value().split(",");
				break;
			case "--stats":
				parsed.stats = value();
				break;
			default:
				if (word.startsWith("-")) throw new MachineError(`Unknown option ${word}.`);
				if (parsed.image !== undefined) throw new MachineError(`More than one image: ${parsed.image} and ${word}.`);
				parsed.image = word;
		}
	}
	if (
		parsed.image === undefined &&
		parsed.firmware === undefined &&
		parsed.disks.length === 0 &&
		parsed.cdrom === undefined
	) {
		throw new MachineError("No image: name a kernel, or a --firmware, --disk or --cdrom to start from.");
	}
	if (parsed.vmm === "none" && parsed.mmu !== undefined)
		throw new MachineError(
			`Under "none" the hardware walks the guest's own tables: leave --mmu out, or choose a technique with a VMM.`,
		);
	if (parsed.dialogue.length > 0 && parsed.untilSerial === undefined)
		throw new MachineError("--then follows --until-serial: say with that what the guest prints first.");
	if (parsed.io !== "split" && (parsed.domain0 !== undefined || parsed.domain0Append !== undefined))
		throw new MachineError(
			"There is a Domain 0 with --io split only: add that, or leave --domain0 and --domain0-append out.",
		);
	return parsed;
}
