// What a debugger, the command line and a test see of a running machine, whatever technique runs the guest.
// All addresses and register values are bigint at this surface; nothing here perturbs the guest by being looked at.

import type { TextScreen } from "../devices/vga-text.ts";
import type { DomainsView, IommuView, NestedWalk, SourceId, VmxView } from "./hypervisor-views.ts";
import type { OptionalDeviceName } from "./optional-devices.ts";
import type { VmEventTimeline } from "./vm-events.ts";

/** The address spaces of DESIGN section 5. */
export type AddressSpace = "lin" | "gpa" | "hpa" | "iova";

export interface Address {
	readonly space: AddressSpace;
	readonly value: bigint;
	/** For "iova": the device whose address it is; the only device behind an IOMMU when left out. */
	readonly source?: SourceId;
	/** For "lin" and "gpa" of a breakpoint, where several guests run: the vCPU whose address it is; any one's when left out. */
	readonly processor?: number;
}

export type RegisterGroup = "general" | "segments" | "control" | "debug" | "msr" | "x87" | "sse" | "vmx" | "system";

export interface RegisterValue {
	/** Lower case, as the manual spells it: "eax", "cs", "cr3", "xmm0", "ia32_efer". */
	readonly name: string;
	readonly group: RegisterGroup;
	/** Bits. */
	readonly width: number;
	readonly value: bigint;
	/** Decoded for people: flags set, hidden part of a segment register; empty when the number says it all. */
	readonly meaning: string;
	readonly writable: boolean;
}

/** One step of a page walk. */
export interface WalkStep {
	/** "PML4E", "PDPTE", "PDE", "PTE" (SDM Vol. 3A §4.2); "EPT PML4E" ...; "root entry", "context entry", "SL-PDE" (VT-d). */
	readonly level: string;
	readonly index: number;
	/** Where the entry lies, in the space that the tables use (gpa: guest tables; hpa: shadow and host tables). */
	readonly entryAddress: Address;
	readonly entry: bigint;
	/** Set bits by name: "P", "W", "U", "PWT", "PCD", "A", "D", "PS", "G", "NX". */
	readonly flags: readonly string[];
	/** Why the walk stops here with a fault for the asked access; absent when it goes on or succeeds. */
	readonly failure?: string;
}

export interface Walk {
	/** "guest", "shadow", "host", "ept", "iommu". */
	readonly table: string;
	readonly linear: bigint;
	readonly steps: readonly WalkStep[];
	/** The result in the space that the tables translate to; absent when the walk failed. */
	readonly result?: {
		readonly address: Address;
		readonly pageSize: number;
		readonly writable: boolean;
		readonly user: boolean;
		readonly executable: boolean;
	};
}

/** A merged run of pages with equal rights and contiguous targets. */
export interface Mapping {
	readonly start: bigint;
	/** Exclusive. */
	readonly end: bigint;
	readonly target: Address;
	readonly pageSize: number;
	readonly writable: boolean;
	readonly user: boolean;
	readonly executable: boolean;
	readonly global: boolean;
	readonly accessed: boolean;
	readonly dirty: boolean;
}

/** A processor as a debugger's thread: what the guest believes (vcpu) or what the hardware runs (pcpu). */
export interface Processor {
	readonly id: number;
	readonly kind: "vcpu" | "pcpu";
	/** The domain whose vCPU it is, where several guests may run. */
	readonly domainId?: number;
	/** "vCPU 0 (CPL 0, CR3 0x1000)" */
	describe(): string;
	/** 16, 32 or 64: the code size that the current CS gives. */
	codeSize(): 16 | 32 | 64;
	/** RIP as the program sees it (offset in CS). */
	instructionPointer(): bigint;
	/** CS base + RIP: where the next instruction is fetched. */
	linearInstructionPointer(): bigint;
	registers(): RegisterValue[];
	/** The value of one register by name, aliases included ("ax", "rip", "flags"); undefined when there is none of that name. */
	register(name: string): bigint | undefined;
	/** @throws {MachineError} with one sentence when there is no such register, it is read-only or the value is impossible. */
	setRegister(name: string, value: bigint): void;
	/** Bytes as this processor addresses them, read without side effects (MMIO is not readable); shorter than asked when only a part can be read; undefined when not even the first byte can. */
	readMemory(address: Address, length: number): Uint8Array | undefined;
	/** Bytes written; stops at the first that cannot be. Translated code of changed bytes is dropped; watchpoints are not triggered. */
	writeMemory(address: Address, bytes: Uint8Array): number;
	/** Every table that takes part in translating the linear address, the guest's first; for a read at the current privilege level unless told otherwise. */
	walk(linear: bigint, access?: { write?: boolean; user?: boolean; execute?: boolean }): Walk[];
	/** The two-dimensional walk with every memory reference numbered; undefined unless EPT translates now. */
	nestedWalk?(linear: bigint, access?: { write?: boolean; user?: boolean; execute?: boolean }): NestedWalk | undefined;
	/** The address space of one table ("guest", "shadow", ...), merged, in order; at most `limit` mappings that end above `from`. */
	mappings(table: string, from: bigint, limit: number): Mapping[];
	/** The linear address in another space; undefined when it is not mapped. */
	translate(linear: bigint, space: AddressSpace): bigint | undefined;
}

export interface ExecutionBreakpoint {
	readonly id: number;
	readonly address: Address;
}

export interface Watchpoint {
	readonly id: number;
	readonly address: Address;
	/** Bytes, at least 1. */
	readonly length: number;
	readonly access: "read" | "write" | "readWrite";
	/** Only accesses of a processor or only those of devices; both when left out. */
	readonly by?: "cpu" | "dma";
}

/** Event classes that can be broken on. */
export type EventName =
	| "exception"
	| "interrupt"
	| "true-page-fault"
	| "hidden-page-fault"
	| "translate"
	| "callout"
	| "triple-fault"
	| "mode-switch"
	/** After the exit was recorded, before the hypervisor's first instruction. "vm-entry": before the guest's first one. */
	| "vm-exit"
	| "vm-entry"
	| "ept-violation"
	| "hypercall"
	| "dma-fault"
	/** An instruction that ran with a wrong result under "trap" (a sensitive instruction that does not trap). */
	| "misbehaviour";

export interface EventFilter {
	readonly id: number;
	readonly event: EventName;
	/** For "exception" and "interrupt": only this vector. */
	readonly vector?: number;
	/** For "vm-exit": only this basic exit reason (SDM Vol. 3D Appendix C). */
	readonly exitReason?: number;
	/** For "hypercall": only the one of this name ("mmu_update"). */
	readonly hypercall?: string;
}

/** Why the machine stands still. `processor` is the id of the processor it happened on. */
export type Stop =
	| { readonly reason: "breakpoint"; readonly processor: number; readonly ids: readonly number[] }
	| {
			readonly reason: "watchpoint";
			readonly processor: number;
			readonly id: number;
			readonly access: "read" | "write";
			readonly address: Address;
			readonly length: number;
			/** Little-endian values; absent when unknown. */
			readonly oldValue?: bigint;
			readonly newValue?: bigint;
			/** Linear address of the instruction that did it; that of the next one when a device did. */
			readonly instruction: bigint;
			/** The device whose DMA did it, by name. */
			readonly device?: string;
	  }
	| {
			readonly reason: "event";
			readonly processor: number;
			readonly ids: readonly number[];
			readonly event: EventName;
			/** One sentence with what happened, for the editor. */
			readonly description: string;
			readonly vector?: number;
			readonly errorCode?: number;
			readonly faultAddress?: bigint;
			/** For "vm-exit" and "ept-violation". */
			readonly exitReason?: number;
			readonly qualification?: bigint;
			readonly guestPhysical?: bigint;
			/** For "hypercall": its name and arguments. */
			readonly hypercall?: string;
			readonly arguments?: readonly bigint[];
			/** For "dma-fault": the requester, and the address in `faultAddress`. */
			readonly source?: SourceId;
	  }
	| { readonly reason: "step"; readonly processor: number }
	| { readonly reason: "pause"; readonly processor: number }
	/** The state is the one at the fault; nothing can run until reset(). */
	| { readonly reason: "triple-fault"; readonly processor: number; readonly description: string }
	| { readonly reason: "halted"; readonly description: string }
	| { readonly reason: "poweroff" }
	| { readonly reason: "debug-exit"; readonly value: number };

/** A refusal in one sentence: what, where, what to do. */
export class MachineError extends Error {}

/** One guest instruction beside its translation (DESIGN section 4, binary translation). */
export interface FragmentLine {
	/** Guest-linear address of the guest instruction. */
	readonly guest: bigint;
	readonly guestBytes: Uint8Array;
	/** Linear address of its translation in the translation cache. */
	readonly translated: bigint;
	readonly translatedBytes: Uint8Array;
	/** IDENT, PCREL, JCC, JMP, CALL, RET, INDIRECT, PRIV, CALLOUT, SIMULATE: as the papers tag them. */
	readonly tag: string;
}

export interface FragmentExit {
	readonly kind: "taken" | "fallthrough" | "indirect";
	readonly guestTarget: bigint | undefined;
	/**
	 * continuation: not taken yet. chained: replaced by a jump to a fragment that was there already. linked: replaced by a jump
	 * to the fragment that was made for it. elided: falls through into it. lookup: the target is found at run time.
	 */
	readonly state: "continuation" | "chained" | "linked" | "elided" | "lookup";
	/** Id of the fragment that it is chained to or falls through into. */
	readonly fragment?: number;
}

export interface Fragment {
	readonly id: number;
	readonly guestStart: bigint;
	/** Exclusive. */
	readonly guestEnd: bigint;
	readonly translatedStart: bigint;
	readonly translatedEnd: bigint;
	readonly lines: readonly FragmentLine[];
	readonly exits: readonly FragmentExit[];
	/** Times the VMM dispatched to it (chained entries are not counted). */
	readonly entries: number;
	/** 0 for the first translation of this guest address, one more each time it was made anew. */
	readonly generation: number;
	readonly valid: boolean;
}

/** What only the binary translator can show. */
export interface TranslationCacheView {
	/** Linear bounds of the translation cache; `end` is exclusive. */
	readonly start: bigint;
	readonly end: bigint;
	fragments(): Fragment[];
	fragment(id: number): Fragment | undefined;
	/** The valid fragment whose translated code, or else whose guest code, holds the linear address. */
	fragmentAt(linear: bigint): Fragment | undefined;
	/** Guest-linear address of the guest instruction that the address in the translation cache belongs to. */
	guestAddressOf(translated: bigint): bigint | undefined;
	hashTable(): {
		readonly size: number;
		readonly used: number;
		readonly buckets: readonly { readonly index: number; readonly guest: bigint; readonly fragment: number }[];
	};
}

export interface StepOptions {
	/** Interrupts and alarms are held while stepping unless this is set. */
	readonly takeInterrupts?: boolean;
}

/** The JSON object of `--stats` (DESIGN section 6), without the parts that the host's clock measures. */
export interface MachineStatistics {
	readonly instructions: number;
	readonly [key: string]: unknown;
}

export interface DeviceView {
	readonly name: string;
	readonly registers: readonly {
		readonly name: string;
		readonly width: number;
		readonly value: number | bigint;
		readonly meaning?: string;
	}[];
}

/** The screen of the guest's display. */
export interface DisplayView {
	/** The guest has set a graphics mode: the text screen is not what a monitor would show. */
	readonly graphicsMode: boolean;
	screen(): TextScreen;
}

/** What a machine has kept of a moment; it belongs to the machine that made it. */
export interface MachineSnapshot {
	/** Bytes that it takes beyond what it shares. */
	readonly bytes: number;
}

export interface VirtualMachine {
	readonly technique: "none" | "trap" | "bt" | "pv" | "hvm";
	/** vCPUs first; under a VMM the pCPUs after them. Under "none" the one processor is a vCPU. */
	processors(): Processor[];
	/** Id of the processor that runs, when there are several that take turns; the first one otherwise. */
	readonly running?: number;
	/** Retired host instructions since power-on, of all processors. */
	instructionCount(): number;
	/**
	 * Runs at most `instructions` host instructions. Returns why it stopped, or undefined when only the budget is used up or the
	 * guest stands halted for so long that the caller should have its turn.
	 * A breakpoint at the very instruction where the machine stands is passed over once.
	 */
	run(instructions: number): Stop | undefined;
	/** Moves one processor by one of its own instructions: a guest instruction for a vCPU, a host instruction for a pCPU. */
	step(processor: number, options?: StepOptions): Stop;
	setExecutionBreakpoints(breakpoints: readonly ExecutionBreakpoint[]): void;
	setWatchpoints(watchpoints: readonly Watchpoint[]): void;
	setEventFilters(filters: readonly EventFilter[]): void;
	/** Bytes that the guest sends on COM1, in order, as they are sent. */
	onSerialOutput(listener: (bytes: Uint8Array) => void): void;
	/** Queues bytes as COM1 input, stamped with the current instruction count. */
	serialInput(bytes: Uint8Array): void;
	/** Bytes of the debug console (port 0xe9). */
	onDebugConsole(listener: (byte: number) => void): void;
	/** Power cycle: the same image again from the start; breakpoints and filters stay. */
	reset(): void;
	/** The whole machine as it stands; bytes that are as in `previous` are shared with it. Absent where only power-on can be gone back to. */
	takeSnapshot?(previous?: MachineSnapshot): MachineSnapshot;
	/** Puts the machine back. Breakpoints, watchpoints and filters stay as they are. */
	restoreSnapshot?(snapshot: MachineSnapshot): void;
	statistics(): MachineStatistics;
	/** Lower-case hex SHA-256 of guest-physical memory. */
	memoryHash(): string;
	/** Present under "bt". */
	readonly translationCache?: TranslationCacheView;
	/** What happened to the guest since power-on. */
	readonly events?: VmEventTimeline;
	/** Present when the processor has VMX and the technique shows it: the host's under "none" and "hvm". */
	readonly vmx?: VmxView;
	/** Present under "pv". */
	readonly domains?: DomainsView;
	/** The guest's VGA. */
	readonly display?: DisplayView;
	/** The remapping units of the machine. */
	readonly iommus?: readonly IommuView[];
	devices(): DeviceView[];
	/** The hard disks, in the order of the configuration. */
	readonly disks?: readonly DiskView[];
}

/** A hard disk as its guest left it. */
export interface DiskView {
	/** As the configuration named it. */
	readonly name: string;
	/** Sectors that the guest has written since power-on; 0: the disk is as its file. */
	readonly writtenSectors: number;
	/** The whole disk as a raw image. Not to be changed. */
	contents(): Uint8Array;
}

export interface NamedFile {
	readonly name: string;
	readonly bytes: Uint8Array;
}

/** A file that a multiboot image finds in memory, with a command line of its own. */
export interface BootModule extends NamedFile {
	readonly commandLine: string;
}

/** What a machine is made from: the words of launch.json and the command line (DESIGN section 6), files already read. */
export interface MachineConfiguration {
	/** Absent when only firmware or a disk is given. */
	readonly image?: NamedFile;
	readonly vmm: "none" | "trap" | "bt" | "pv" | "hvm";
	readonly mmu?: "shadow" | "ept";
	readonly io?: "direct" | "split" | "passthrough";
	/** Bytes of guest memory. */
	readonly memory: number;
	/** How many processors the host has; one when left out. */
	readonly processors?: number;
	readonly initrd?: NamedFile;
	/** For multiboot images: modules that come before the initrd, such as the kernel of a hypervisor's first domain. */
	readonly modules?: readonly BootModule[];
	readonly append?: string;
	readonly firmware?: NamedFile;
	readonly engine?: "interpreter" | "compiled";
	/** Raw images of hard disks; the guest's writes do not reach these bytes, see VirtualMachine.disks. */
	readonly disks?: readonly NamedFile[];
	/** With io "split": the paravirtual kernel of Domain 0, which drives the host's devices, and its command line. */
	readonly domain0?: NamedFile;
	readonly domain0Append?: string;
	/** An ISO image in a CD-ROM drive. */
	readonly cdrom?: NamedFile;
	/** A VT-d remapping unit in the host. Left out: only with io "passthrough". */
	readonly iommu?: boolean;
	/** Devices beyond the bare PC's, as docs/devices.md names them. */
	readonly devices?: readonly OptionalDeviceName[];
}
