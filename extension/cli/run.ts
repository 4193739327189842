// `hyperscope run`: a machine without an editor.

import { closeSync, existsSync, openSync, readFileSync, unlinkSync, writeFileSync, writeSync } from "node:fs";
import { basename } from "node:path";
import {
	type BootModule,
	MachineError,
	type NamedFile,
	type Stop,
	type VirtualMachine,
} from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import type { RunArguments } from "./arguments.ts";
import { bundledDomain0 } from "./bundled-domain0.ts";
import { statisticsByFunction } from "./fragment-statistics.ts";
import { trace, traceKinds } from "./trace.ts";

/** Instructions between two looks at the host's clock and at standard input: as many as take about the time below, in milliseconds. */
const LARGEST_SLICE = 4_000_000;
const SMALLEST_SLICE = 1_000;
const FIRST_SLICE = 16_000;
const SLICE_MILLISECONDS = { least: 25, most: 100 } as const;
/**
 * A run that `--until-serial` ends goes on to a multiple of so many instructions, or to where nothing wakes the guest any more: where it
 * ends depends on nothing but the guest.
 */
const SERIAL_STOP_MULTIPLE = 1_000_000;
/** How much of the serial output is kept for `--until-serial`. */
const KEPT_OUTPUT = 1 << 16;

/** Exit status of DESIGN section 6. */
const Status = { ok: 0, usage: 2, budget: 3, halted: 4 } as const;

/** @throws {MachineError} with one sentence when it cannot be read. */
export function readFile(path: string): NamedFile {
	try {
		return { name: basename(path), bytes: new Uint8Array(readFileSync(path)) };
	} catch (error) {
		const code = (error as NodeJS.ErrnoException).code;
		const why = code === "ENOENT" ? "does not exist" : code === "EISDIR" ? "is a folder" : `cannot be read (${code})`;
		throw new MachineError(`${path} ${why}.`);
	}
}

/** A file that is written to; refused at once, not at the end of a run. @throws {MachineError} */
function openForWriting(path: string): number {
	try {
		return openSync(path, "w");
	} catch (error) {
		throw new MachineError(`${path} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
	}
}

/** Refuses a file that cannot be written, and leaves what is there as it is. @throws {MachineError} */
function checkWritable(path: string): void {
	const isNew = !existsSync(path);
	try {
		closeSync(openSync(path, "a"));
	} catch (error) {
		throw new MachineError(`${path} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
	}
	if (isNew) unlinkSync(path);
}

/** Serial output on its way to a file: many single characters become few writes. */
class SerialFile {
	private pending: Uint8Array[] = [];

	constructor(
		private readonly path: string,
		private readonly file = openForWriting(path),
	) {}

	readonly add = (bytes: Uint8Array): void => {
		this.pending.push(bytes.slice());
	};

	/** @throws {MachineError} when the bytes cannot be stored. */
	flush(): void {
		if (this.pending.length === 0) return;
		const bytes = Buffer.concat(this.pending);
		this.pending = [];
		try {
			for (let at = 0; at < bytes.length; ) at += writeSync(this.file, bytes, at);
		} catch (error) {
			throw new MachineError(`${this.path} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
		}
	}
}

type StopName = "serial" | "poweroff" | "debug-exit" | "budget" | "timeout" | "triple-fault" | "halted";

class Run {
	private output = "";
	private awaited: { until: RegExp; send?: string }[] = [];
	private matched = false;
	private readonly started = process.hrtime.bigint();
	private readonly sink: (bytes: Uint8Array) => void;
	private readonly serialFile: SerialFile | undefined;

	constructor(
		private readonly machine: VirtualMachine,
		private readonly options: RunArguments,
	) {
		if (options.serial === "stdio") this.sink = (bytes) => process.stdout.write(bytes);
		else {
			this.serialFile = new SerialFile(options.serial);
			this.sink = this.serialFile.add;
		}
		if (options.untilSerial) {
			this.awaited.push({ until: options.untilSerial });
			for (const step of options.dialogue) this.awaited.push({ until: step.until, send: step.send });
		}
		machine.onSerialOutput((bytes) => this.receive(bytes));
		machine.onDebugConsole((byte) => process.stderr.write(new Uint8Array([byte])));
	}

	private receive(bytes: Uint8Array): void {
		this.sink(bytes);
		if (this.awaited.length === 0) return;
		this.output = (this.output + Buffer.from(bytes).toString("latin1")).slice(-KEPT_OUTPUT);
		const [first, next] = this.awaited;
		if (!first!.until.test(this.output)) return;
		this.awaited.shift();
		this.output = "";
		if (next?.send !== undefined) this.machine.serialInput(Buffer.from(`${next.send}\n`, "latin1"));
		else if (!next) this.matched = true;
	}

	/** Seconds of the host's clock since the start. */
	seconds(): number {
		return Number(process.hrtime.bigint() - this.started) / 1e9;
	}

	async finish(): Promise<{ stop: StopName; status: number }> {
		const { machine, options } = this;
		let slice = FIRST_SLICE;
		for (;;) {
			const count = machine.instructionCount();
			const left = options.maxInstructions - count;
			if (this.matched && (left <= 0 || count % SERIAL_STOP_MULTIPLE === 0))
				return { stop: "serial", status: Status.ok };
			if (left <= 0) return { stop: "budget", status: Status.budget };
			const started = performance.now();
			const grain = this.awaited.length > 0 || this.matched;
			const toStop = SERIAL_STOP_MULTIPLE - (count % SERIAL_STOP_MULTIPLE);
			const stop = machine.run(Math.min(left, slice, grain ? toStop : slice));
			const milliseconds = performance.now() - started;
			this.serialFile?.flush();
			if (stop) {
				const result = this.matched ? ({ stop: "serial", status: Status.ok } as const) : this.classify(stop);
				if (result) return result;
			}
			if (this.matched && machine.instructionCount() === count) return { stop: "serial", status: Status.ok };
			if (this.seconds() >= options.timeout)
				return this.matched ? { stop: "serial", status: Status.ok } : { stop: "timeout", status: Status.budget };
			if (milliseconds > SLICE_MILLISECONDS.most) slice = Math.max(SMALLEST_SLICE, Math.floor(slice / 4));
			else if (milliseconds < SLICE_MILLISECONDS.least) slice = Math.min(LARGEST_SLICE, slice * 2);
			await new Promise((next) => setImmediate(next));
		}
	}

	private classify(stop: Stop): { stop: StopName; status: number } | undefined {
		switch (stop.reason) {
			case "poweroff":
				return { stop: "poweroff", status: Status.ok };
			case "debug-exit":
				return { stop: "debug-exit", status: ((stop.value << 1) | 1) & 0xff };
			case "triple-fault":
				process.stderr.write(`hyperscope: ${stop.description}\n`);
				return { stop: "triple-fault", status: Status.halted };
			case "halted":
				process.stderr.write(`hyperscope: ${stop.description}\n`);
				return { stop: "halted", status: Status.halted };
			default:
				return undefined;
		}
	}
}

/** The guest's writes go into the files of its disks. @throws {MachineError} when one cannot be written. */
function writeDisks(machine: VirtualMachine, paths: readonly string[]): void {
	machine.disks?.forEach((disk, i) => {
		if (disk.writtenSectors === 0) return;
		try {
			writeFileSync(paths[i]!, disk.contents());
		} catch (error) {
			throw new MachineError(`${paths[i]} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
		}
	});
}

/** "FILE ARGUMENTS" of --module. */
function readModule(text: string): BootModule {
	const file = readFile(text.split(" ", 1)[0]!);
	return { ...file, commandLine: [file.name, ...text.split(" ").slice(1)].join(" ") };
}

/** Runs a machine to its end; the result is the exit status. @throws {MachineError} for what cannot be started. */
export async function runMachine(options: RunArguments): Promise<number> {
	const traced = traceKinds(options.trace);
	const { stats } = options;
	if (stats !== undefined) checkWritable(stats);
	const machine = createMachine({
		...(options.image === undefined ? {} : { image: readFile(options.image) }),
		vmm: options.vmm,
		...(options.mmu === undefined ? {} : { mmu: options.mmu }),
		...(options.io === undefined ? {} : { io: options.io }),
		memory: options.memory,
		processors: options.processors,
		...(options.initrd === undefined ? {} : { initrd: readFile(options.initrd) }),
		...(options.modules.length === 0 ? {} : { modules: options.modules.map(readModule) }),
		...(options.append === undefined ? {} : { append: options.append }),
		...(options.firmware === undefined ? {} : { firmware: readFile(options.firmware) }),
		disks: options.disks.map(readFile),
		...(options.io === "split" ? { domain0: readFile(options.domain0 ?? bundledDomain0()) } : {}),
		...(options.domain0Append === undefined ? {} : { domain0Append: options.domain0Append }),
		...(options.cdrom === undefined ? {} : { cdrom: readFile(options.cdrom) }),
		devices: options.devices,
		...(options.iommu === undefined ? {} : { iommu: options.iommu === "on" }),
		...(options.engine === undefined ? {} : { engine: options.engine }),
	});
	trace(machine, traced, (line) => process.stderr.write(`${line}\n`));
	const run = new Run(machine, options);
	const input = (bytes: Buffer) => machine.serialInput(bytes);
	if (options.serial === "stdio" && !process.stdin.destroyed) {
		process.stdin.on("data", input);
		process.stdin.on("error", () => {});
	}
	const { stop, status } = await run.finish();
	const seconds = run.seconds();
	process.stdin.off("data", input);
	process.stdin.pause();
	if (options.diskWrites === "file") writeDisks(machine, options.disks);
	if (stats !== undefined) {
		const statistics = machine.statistics();
		const mips = statistics.instructions / seconds / 1e6;
		const functions =
			options.image === undefined ? undefined : statisticsByFunction(machine, readFile(options.image).bytes);
		const result = {
			...statistics,
			...(functions ? { functions } : {}),
			seconds,
			mips,
			stop,
			memoryHash: machine.memoryHash(),
		};
		writeFileSync(stats, `${JSON.stringify(result, null, 2)}\n`);
	}
	return status;
}
