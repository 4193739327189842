// A machine whose stops are written down beforehand: for what a real guest does not do when a test wants it.
import {
	type Address,
	type EventFilter,
	type ExecutionBreakpoint,
	type Fragment,
	MachineError,
	type Processor,
	type RegisterValue,
	type Stop,
	type TranslationCacheView,
	type VirtualMachine,
	type Watchpoint,
} from "../../emulator/machine/virtual-machine.ts";

const names = [
	"eax",
	"ecx",
	"edx",
	"ebx",
	"esp",
	"ebp",
	"esi",
	"edi",
	"eip",
	"eflags",
	"cs",
	"ss",
	"cr0",
	"cr2",
	"cr3",
];
const groups: Readonly<Record<string, RegisterValue["group"]>> = {
	cs: "segments",
	ss: "segments",
	cr0: "control",
	cr2: "control",
	cr3: "control",
};

/** 32-bit, flat, with memory from 0 on; its linear, guest-physical and host-physical addresses are the same. */
class ScriptedProcessor implements Processor {
	nestedWalk?: NonNullable<Processor["nestedWalk"]>;
	readonly values = new Map<string, bigint>(names.map((name) => [name, 0n]));

	constructor(
		readonly id: number,
		readonly kind: "vcpu" | "pcpu",
		private readonly memory: Uint8Array,
	) {}

	describe(): string {
		return `${this.kind === "vcpu" ? "vCPU" : "pCPU"} 0`;
	}

	codeSize(): 32 {
		return 32;
	}

	instructionPointer(): bigint {
		return this.values.get("eip")!;
	}

	linearInstructionPointer(): bigint {
		return this.instructionPointer();
	}

	registers(): RegisterValue[] {
		return [...this.values].map(([name, value]) => ({
			name,
			group: groups[name] ?? "general",
			width: name === "cs" || name === "ss" ? 16 : 32,
			value,
			meaning: "",
			writable: !name.startsWith("cr"),
		}));
	}

	register(name: string): bigint | undefined {
		return name === "cpl" ? 0n : this.values.get(name);
	}

	setRegister(name: string, value: bigint): void {
		if (!this.values.has(name)) throw new MachineError(`There is no register "${name}".`);
		if (name.startsWith("cr")) throw new MachineError(`The register ${name} is read-only here.`);
		this.values.set(name, BigInt.asUintN(32, value));
	}

	private bounds(address: Address): boolean {
		return address.space !== "iova" && address.value >= 0n && address.value < BigInt(this.memory.length);
	}

	readMemory(address: Address, length: number): Uint8Array | undefined {
		if (!this.bounds(address)) return undefined;
		return this.memory.slice(Number(address.value), Number(address.value) + length);
	}

	writeMemory(address: Address, bytes: Uint8Array): number {
		if (!this.bounds(address)) return 0;
		const part = bytes.subarray(0, this.memory.length - Number(address.value));
		this.memory.set(part, Number(address.value));
		return part.length;
	}

	walk(linear: bigint): ReturnType<Processor["walk"]> {
		const step = {
			level: "PTE",
			index: Number(linear >> 12n) & 0x3ff,
			entryAddress: { space: "gpa" as const, value: 0x100n },
			entry: 0x63n,
			flags: ["P", "W", "A", "D"],
		};
		const result = {
			address: { space: "gpa" as const, value: linear },
			pageSize: 4096,
			writable: true,
			user: false,
			executable: true,
		};
		return [
			{ table: "guest", linear, steps: [step], result },
			{ table: "shadow", linear, steps: [{ ...step, entry: 0n, flags: [], failure: "not present" }] },
		];
	}

	mappings(_table: string, from: bigint, limit: number): ReturnType<Processor["mappings"]> {
		const all = Array.from({ length: 10 }, (_, index) => ({
			start: BigInt(index) * 0x2000n,
			end: BigInt(index) * 0x2000n + 0x1000n,
			target: { space: "gpa" as const, value: BigInt(index) * 0x1000n },
			pageSize: 4096,
			writable: index % 2 === 0,
			user: index >= 5,
			executable: true,
			global: false,
			accessed: true,
			dirty: false,
		}));
		return all.filter((mapping) => mapping.end > from).slice(0, limit);
	}

	translate(linear: bigint): bigint {
		return linear;
	}
}

/** What the machine does when it is told to run: stop, throw, use its budget up, or something of the test's. */
export type Act = Stop | Error | "budget" | ((machine: ScriptedMachine) => Stop | undefined);

export class ScriptedMachine implements VirtualMachine {
	readonly technique: VirtualMachine["technique"];
	readonly memory = new Uint8Array(0x10000);
	readonly vcpu = new ScriptedProcessor(1, "vcpu", this.memory);
	readonly pcpu = new ScriptedProcessor(2, "pcpu", this.memory);
	readonly script: Act[] = [];
	breakpoints: readonly ExecutionBreakpoint[] = [];
	watchpoints: readonly Watchpoint[] = [];
	filters: readonly EventFilter[] = [];
	readonly typed: number[] = [];
	resets = 0;
	private count = 0;
	private readonly serialListeners: ((bytes: Uint8Array) => void)[] = [];
	private readonly consoleListeners: ((byte: number) => void)[] = [];
	readonly translationCache?: TranslationCacheView;
	/** What a hypervisor would show; a test puts it in. */
	events?: VirtualMachine["events"];
	vmx?: VirtualMachine["vmx"];
	domains?: VirtualMachine["domains"];
	iommus?: VirtualMachine["iommus"];

	/** With fragments the machine is one under binary translation, whose cache lies at 0x8000 to 0x9000. */
	constructor(fragments?: readonly Fragment[], technique: VirtualMachine["technique"] = fragments ? "bt" : "none") {
		this.technique = technique;
		if (!fragments) return;
		const find = (linear: bigint) =>
			fragments.find((one) => one.valid && linear >= one.translatedStart && linear < one.translatedEnd) ??
			fragments.find((one) => one.valid && linear >= one.guestStart && linear < one.guestEnd);
		this.translationCache = {
			start: 0x8000n,
			end: 0x9000n,
			fragments: () => [...fragments],
			fragment: (id) => fragments.find((one) => one.id === id),
			fragmentAt: find,
			guestAddressOf: (translated) =>
				find(translated)
					?.lines.filter((line) => line.translated <= translated)
					.at(-1)?.guest,
			hashTable: () => ({
				size: 8,
				used: fragments.length,
				buckets: fragments.map((one, index) => ({ index, guest: one.guestStart, fragment: one.id })),
			}),
		};
	}

	processors(): Processor[] {
		return this.technique === "bt" ? [this.vcpu, this.pcpu] : [this.vcpu];
	}

	instructionCount(): number {
		return this.count;
	}

	private act(otherwise: Stop | undefined): Stop | undefined {
		const act = this.script.shift();
		this.count++;
		if (act === undefined) return otherwise;
		if (act === "budget") return undefined;
		if (act instanceof Error) throw act;
		return typeof act === "function" ? act(this) : act;
	}

	/** Without a script it never stops by itself. */
	run(): Stop | undefined {
		return this.act(undefined);
	}

	/** Without a script it moves by one byte. */
	step(processor: number): Stop {
		const one = processor === 2 ? this.pcpu : this.vcpu;
		one.values.set("eip", one.values.get("eip")! + 1n);
		return this.act({ reason: "step", processor }) ?? { reason: "step", processor };
	}

	setExecutionBreakpoints(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.breakpoints = breakpoints;
	}

	setWatchpoints(watchpoints: readonly Watchpoint[]): void {
		this.watchpoints = watchpoints;
	}

	setEventFilters(filters: readonly EventFilter[]): void {
		this.filters = filters;
	}

	onSerialOutput(listener: (bytes: Uint8Array) => void): void {
		this.serialListeners.push(listener);
	}

	serialInput(bytes: Uint8Array): void {
		this.typed.push(...bytes);
	}

	onDebugConsole(listener: (byte: number) => void): void {
		this.consoleListeners.push(listener);
	}

	/** The guest sends. */
	send(text: string): void {
		for (const listener of this.serialListeners) listener(new TextEncoder().encode(text));
	}

	/** The guest writes to port 0xe9. */
	log(text: string): void {
		for (const byte of new TextEncoder().encode(text)) for (const listener of this.consoleListeners) listener(byte);
	}

	reset(): void {
		this.resets++;
	}

	statistics(): { instructions: number } {
		return { instructions: this.count };
	}

	memoryHash(): string {
		return "00".repeat(32);
	}

	devices(): ReturnType<VirtualMachine["devices"]> {
		return [{ name: "UART", registers: [{ name: "LCR", width: 8, value: 3, meaning: "8 bits" }] }];
	}
}
