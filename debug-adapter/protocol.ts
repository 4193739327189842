// The contract between the debug adapter and what shows a session: the extension's views and the webviews. It holds the
// launch configuration (DESIGN section 6) and the requests and events beyond the Debug Adapter Protocol (DAP). It
// imports nothing but the types of its other part, hypervisor-protocol.ts, so that a webview can use its types.
//
// Conventions. A request is sent with `session.customRequest(command, arguments)`; a refusal is an ordinary DAP error
// with one sentence. Numbers that may need 64 bits travel as hexadecimal strings ("0x…"); bytes as Base64, or as "89 f9"
// where they are only shown. Addresses in arguments are strings in the prefix grammar of DESIGN section 5: "0xc0100000",
// "lin:0x…", "gpa:0x…", "hpa:0x…", and, where a request says "expression", also a symbol, a register or a C expression.

import type {
	CompareArguments,
	CompareBody,
	DomainPagesArguments,
	DomainPagesBody,
	DomainsBody,
	EventCountsBody,
	EventsArguments,
	EventsBody,
	IommusBody,
	IommuWalkArguments,
	IommuWalkBody,
	NestedWalkBody,
	VmcsArguments,
	VmcsBody,
} from "./hypervisor-protocol.ts";

export type * from "./hypervisor-protocol.ts";

/** "0x" and lower-case hexadecimal digits, without leading zeros. */
export type Hex = string;

// ---- launch configuration ------------------------------------------------------------------------------------------

export type Technique = "none" | "trap" | "bt" | "pv" | "hvm";

/** A file with symbols beside those of the image. */
export interface SymbolFileArgument {
	readonly path: string;
	/** Added to every address of the file: a kernel moved by KASLR, a loaded module. A number or "0x…"; 0 when left out. */
	readonly offset?: number | string;
	/** Load address of single sections, by name (".text": "0x…"), for relocatable files such as kernel modules. */
	readonly sections?: Readonly<Record<string, number | string>>;
	/** Under `vmm` "pv": the number of the domain that runs this code; 1, the guest, when left out. */
	readonly domain?: number;
}

/** `type: "hyperscope"`, `request: "launch"`. Paths are absolute; the extension resolves `${workspaceFolder}`. */
export interface LaunchArguments {
	/** Multiboot 1/2 ELF, plain ELF or bzImage; may be left out when `firmware` is given, which starts the disks. */
	readonly program?: string;
	readonly symbolFiles?: readonly (string | SymbolFileArgument)[];
	/** Path prefixes as the compiler wrote them → prefixes on this machine; the longest that fits is used. */
	readonly sourceMap?: Readonly<Record<string, string>>;
	/** Default "bt". */
	readonly vmm?: Technique;
	/** Default "shadow". */
	readonly mmu?: "shadow" | "ept";
	/** Default "direct". */
	readonly io?: "direct" | "split" | "passthrough";
	/** Guest memory: bytes, or a number with the suffix K, M or G. Default "256M". */
	readonly memory?: number | string;
	/** 1 to 8; more than one under "none". Default 1. */
	readonly processors?: number;
	readonly initrd?: string;
	/** Kernel command line. */
	readonly append?: string;
	readonly firmware?: string;
	/** Raw images, in the order of the drives. What the guest writes is kept until the session ends; the files stay as they are. */
	readonly disks?: readonly string[];
	/** With `io` "split": the paravirtual kernel of Domain 0 in place of the one that comes with the program, and its command line. */
	readonly domain0?: string;
	readonly domain0Append?: string;
	readonly cdrom?: string;
	/** Devices beyond the bare PC's, as docs/devices.md names them: "dma-engine", "e1000". */
	readonly devices?: readonly string[];
	/** A VT-d remapping unit in the host; by default only with io "passthrough". */
	readonly iommu?: boolean;
	readonly engine?: "interpreter" | "compiled";
	/** Stop before the guest's first instruction. Default false. */
	readonly stopOnEntry?: boolean;
	/**
	 * Where serial output is shown: "both" (the default) sends it as `output` events of category `stdout` and as
	 * `hyperscope/serialOutput`; "output" and "terminal" send only the one or the other.
	 */
	readonly serial?: "both" | "output" | "terminal";
	/** Set by the editor for "Run without debugging": breakpoints are not set. */
	readonly noDebug?: boolean;
}

// ---- the machine ---------------------------------------------------------------------------------------------------

export type MachineState = "running" | "stopped" | "ended";

/** Body of `hyperscope/machine` (no arguments). */
export interface MachineInfo {
	readonly technique: Technique;
	readonly state: MachineState;
	/** Retired host instructions since power-on. */
	readonly instructionCount: number;
	/** DAP thread ids with their kind. The thread of a vCPU is what the guest believes, that of a pCPU what the hardware runs. */
	readonly threads: readonly {
		readonly threadId: number;
		readonly kind: "vcpu" | "pcpu";
		readonly name: string;
		/** Code size in bits. */
		readonly codeSize: 16 | 32 | 64;
	}[];
	/** Whether `hyperscope/fragments`, `fragment` and `hashTable` answer. */
	readonly hasTranslationCache: boolean;
	/** Which of the other views have something to show: `events`, `vmcs`, `domains`, `iommus`. */
	readonly shows: {
		readonly events: boolean;
		readonly vmx: boolean;
		readonly domains: boolean;
		readonly iommu: boolean;
	};
}

/** Body of `hyperscope/statistics` (no arguments): the object of `--stats` (DESIGN section 6). */
export interface Statistics {
	readonly instructions: number;
	readonly [key: string]: unknown;
}

/** Body of `hyperscope/memoryHash` (no arguments): lower-case hex SHA-256 of guest-physical memory. */
export interface MemoryHash {
	readonly sha256: string;
}

// ---- memory --------------------------------------------------------------------------------------------------------

export interface MemoryArguments {
	readonly threadId: number;
	/** Expression; its space is the one that is read. */
	readonly address: string;
	/** Added to the address. The range begins at the multiple of 16 at or below, and at 0 at the earliest. */
	readonly offset?: number;
	/** Bytes, 65,536 at most. */
	readonly count: number;
}

/** Memory as the thread's processor sees it, read without side effects: device registers are left out. */
export interface MemoryBody {
	/** What the expression came to, in the prefix grammar. */
	readonly address: string;
	readonly space: "lin" | "gpa" | "hpa" | "iova";
	/** Where the range begins, without its prefix. */
	readonly start: Hex;
	/** Bytes of the range; fewer than asked for at the end of the space. */
	readonly count: number;
	/** Bytes of a pointer in the thread's code. */
	readonly wordSize: 4 | 8;
	/** The stretches that can be read, as offsets into the range and Base64. */
	readonly parts: readonly { readonly offset: number; readonly data: string }[];
	/** Symbols that begin in the range, one for each 16 bytes; only of linear memory. */
	readonly names: readonly { readonly offset: number; readonly name: string }[];
	/** Aligned words that point to something with a name: "main+0x12". */
	readonly pointers: readonly { readonly offset: number; readonly name: string }[];
}

// ---- registers -----------------------------------------------------------------------------------------------------

export interface ThreadArguments {
	readonly threadId: number;
}

export interface RegisterInfo {
	readonly name: string;
	/** Bits. */
	readonly width: number;
	readonly value: Hex;
	/** Decoded for people: flags set, hidden part of a segment register; empty when the number says it all. */
	readonly meaning: string;
	readonly writable: boolean;
	/** Whether the value differs from the one at the stop before. */
	readonly changed: boolean;
}

/** Body of `hyperscope/registers` (ThreadArguments). */
export interface RegistersBody {
	readonly groups: readonly {
		/** "general", "segments", "control", "debug", "msr", "x87", "sse", "vmx", "system" */
		readonly id: string;
		/** "General", "Segments", "Control", "Debug", "MSRs", "x87", "SSE", "VMX", "System" */
		readonly title: string;
		readonly registers: readonly RegisterInfo[];
	}[];
}

/** `hyperscope/setRegister`; body: the register as it is now (RegisterInfo). */
export interface SetRegisterArguments {
	readonly threadId: number;
	readonly name: string;
	/** A number or any expression. */
	readonly value: string;
}

// ---- page tables ---------------------------------------------------------------------------------------------------

export interface WalkStepInfo {
	/** "PML4E", "PDPTE", "PDE", "PTE" */
	readonly level: string;
	readonly index: number;
	/** Where the entry lies; can be given to readMemory as a memory reference. */
	readonly entryAddress: string;
	readonly entry: Hex;
	/** Set bits by name: "P", "W", "U", "PWT", "PCD", "A", "D", "PS", "G", "NX". */
	readonly flags: readonly string[];
	/** Why the walk fails at this step; absent when it goes on or succeeds. */
	readonly failure?: string;
}

export interface WalkInfo {
	/** "guest", "shadow", "host", "ept", "iommu" */
	readonly table: string;
	readonly steps: readonly WalkStepInfo[];
	/** Absent when the walk failed. */
	readonly result?: {
		/** With its space: "gpa:0x…" or "hpa:0x…". */
		readonly address: string;
		/** Bytes. */
		readonly pageSize: number;
		readonly writable: boolean;
		readonly user: boolean;
		readonly executable: boolean;
	};
}

/** `hyperscope/pageWalk` */
export interface PageWalkArguments {
	readonly threadId: number;
	/** An expression for a linear address. */
	readonly address: string;
	/** The access whose rights are checked; a read at the current privilege level when left out. */
	readonly access?: { readonly write?: boolean; readonly user?: boolean; readonly execute?: boolean };
}

export interface PageWalkBody {
	readonly linear: Hex;
	/** "main+0x12", when a symbol covers the address. */
	readonly symbol?: string;
	/** Side by side: the guest's table first, then those that the hardware or the VMM adds. */
	readonly walks: readonly WalkInfo[];
}

/** `hyperscope/mappings` */
export interface MappingsArguments {
	readonly threadId: number;
	/** One of the names that `hyperscope/tables` gives. */
	readonly table: string;
	/** Linear address; only mappings that end above it. "0x0" when left out. */
	readonly from?: Hex;
	/** Most mappings in the answer, 1 to 4096; 256 when left out. */
	readonly limit?: number;
	readonly filter?: MappingFilter;
}

/** All that are given must hold. */
export interface MappingFilter {
	readonly privilege?: "kernel" | "user";
	readonly writable?: boolean;
	readonly executable?: boolean;
	/** Pages larger than 4 KiB. */
	readonly large?: boolean;
	readonly global?: boolean;
	readonly dirty?: boolean;
	/** Only the mapping that holds this linear address, or whose target holds it when it has a physical prefix. */
	readonly contains?: string;
}

export interface MappingInfo {
	readonly start: Hex;
	/** Exclusive. */
	readonly end: Hex;
	/** With its space: "gpa:0x…" or "hpa:0x…". */
	readonly target: string;
	readonly pageSize: number;
	readonly writable: boolean;
	readonly user: boolean;
	readonly executable: boolean;
	readonly global: boolean;
	readonly accessed: boolean;
	readonly dirty: boolean;
}

export interface MappingsBody {
	readonly mappings: readonly MappingInfo[];
	/** Where to go on (`from` of the next request); absent when the table is at its end. */
	readonly next?: Hex;
}

/** Body of `hyperscope/tables` (ThreadArguments): the tables that take part in translating an address now, the guest's first. */
export interface TablesBody {
	readonly tables: readonly string[];
}

// ---- binary translation: translated code fragments -----------------------------------------------------------------

/** `hyperscope/fragments` */
export interface FragmentsArguments {
	/** Index of the first, in order of translation. */
	readonly start?: number;
	/** 1 to 4096; 256 when left out. */
	readonly count?: number;
	/** Only fragments whose guest code or translated code holds the address (an expression), or whose symbol contains the text. */
	readonly search?: string;
	/** Leaves out fragments that were invalidated. */
	readonly validOnly?: boolean;
}

export interface FragmentSummary {
	readonly id: number;
	readonly guestStart: Hex;
	/** Exclusive. */
	readonly guestEnd: Hex;
	readonly translatedStart: Hex;
	/** Exclusive. */
	readonly translatedEnd: Hex;
	/** "isPrime+0x7", when known. */
	readonly symbol?: string;
	/** Guest instructions. */
	readonly instructions: number;
	/** Times the VMM dispatched to it (chained entries are not counted). */
	readonly entries: number;
	/** 0 for the first translation of this guest address. */
	readonly generation: number;
	readonly valid: boolean;
	readonly exits: readonly FragmentExitInfo[];
}

export interface FragmentExitInfo {
	readonly kind: "taken" | "fallthrough" | "indirect";
	/** Absent for indirect exits. */
	readonly guestTarget?: Hex;
	/** "main+0x12" */
	readonly symbol?: string;
	/** "continuation": not yet run; "chained": a jump to a fragment that was there; "linked": to the one made for it; "elided": falls through into it; "lookup": found at run time. */
	readonly state: "continuation" | "chained" | "linked" | "elided" | "lookup";
	readonly fragment?: number;
}

export interface FragmentsBody {
	readonly cacheStart: Hex;
	/** Exclusive. */
	readonly cacheEnd: Hex;
	/** Fragments that fit the search, of which `fragments` is the part asked for. */
	readonly total: number;
	/** Over all valid fragments. */
	readonly continuationsLeft: number;
	readonly fragments: readonly FragmentSummary[];
}

/** `hyperscope/fragment`: by id, or by an address (an expression) in its guest code or its translated code. */
export interface FragmentArguments {
	readonly id?: number;
	readonly address?: string;
	/** Thread for registers in the expression; the first vCPU when left out. */
	readonly threadId?: number;
}

/** One instruction of translated code. */
export interface TranslatedInstruction {
	readonly address: Hex;
	/** "89 f9" */
	readonly bytes: string;
	readonly text: string;
}

/** One guest instruction beside its translation. */
export interface FragmentLineInfo {
	readonly guest: Hex;
	readonly guestBytes: string;
	readonly guestText: string;
	/** IDENT, PCREL, JCC, JMP, CALL, RET, INDIRECT, PRIV, CALLOUT, SIMULATE. */
	readonly tag: string;
	readonly translated: readonly TranslatedInstruction[];
	/** Where the guest instruction comes from, when symbols say so. */
	readonly source?: { readonly path: string; readonly line: number };
	/** Set on the line at which a thread stands: by its guest code (vCPU) or its translated code (pCPU). */
	readonly current?: readonly { readonly threadId: number; readonly address: Hex }[];
}

export interface FragmentBody extends FragmentSummary {
	readonly lines: readonly FragmentLineInfo[];
}

/** Body of `hyperscope/hashTable` (no arguments): guest address → fragment. */
export interface HashTableBody {
	readonly size: number;
	readonly used: number;
	readonly buckets: readonly { readonly index: number; readonly guest: Hex; readonly fragment: number }[];
}

// ---- devices, serial line, text ------------------------------------------------------------------------------------

/** Body of `hyperscope/devices` (no arguments). */
export interface DevicesBody {
	readonly devices: readonly {
		readonly name: string;
		readonly registers: readonly {
			readonly name: string;
			readonly width: number;
			readonly value: Hex;
			readonly meaning?: string;
			/** Whether the value differs from the one at the stop before at which devices were looked at. */
			readonly changed: boolean;
		}[];
	}[];
}

/** Characters side by side in equal colours ("#rrggbb"). */
export interface DisplayRun {
	readonly text: string;
	readonly foreground: string;
	readonly background: string;
}

/** Body of `hyperscope/display` (no arguments), which also answers while the guest runs: the VGA's text screen. */
export interface DisplayBody {
	readonly columns: number;
	readonly rows: readonly (readonly DisplayRun[])[];
	/** Absent when it is off. */
	readonly cursor?: { readonly row: number; readonly column: number };
	/** A graphics mode is set, which is not drawn. */
	readonly graphicsMode: boolean;
}

/**
 * `hyperscope/lastWrite`: goes back to the last write of a variable, or of `bytes` (4 when left out) at an address, and reports it by a
 * `stopped` event; asked again, to the one before it. No body.
 */
export interface LastWriteArguments {
	readonly threadId: number;
	readonly expression: string;
	readonly bytes?: number;
	readonly frameId?: number;
}

/** `hyperscope/serialInput`: bytes for COM1. Exactly one of the two; text is sent as UTF-8. No body. */
export interface SerialInputArguments {
	readonly text?: string;
	/** Base64. */
	readonly data?: string;
}

/** `hyperscope/disassembleText`: a listing for a read-only document. */
export interface DisassembleTextArguments {
	readonly threadId: number;
	/** An expression. */
	readonly address: string;
	/** 1 to 4096; 64 when left out. */
	readonly count?: number;
}

export interface DisassembleTextBody {
	readonly lines: readonly {
		readonly address: Hex;
		readonly bytes: string;
		readonly text: string;
		readonly symbol?: string;
		readonly source?: { readonly path: string; readonly line: number };
	}[];
}

// ---- settings of a session -----------------------------------------------------------------------------------------

/** `hyperscope/setNumberFormat`: how integers are shown in Variables, Watch and hovers. No body; `invalidated` follows. */
export interface SetNumberFormatArguments {
	readonly format: "natural" | "hexadecimal" | "decimal" | "binary";
}

/** `hyperscope/setStepInterrupts`: whether stepping takes interrupts (they are held otherwise, the default). No body. */
export interface SetStepInterruptsArguments {
	readonly take: boolean;
}

/** `hyperscope/loadSymbols`: adds a symbol file to a session; breakpoints are placed anew. */
export type LoadSymbolsArguments = SymbolFileArgument;

export interface LoadSymbolsBody {
	/** Functions and variables found. */
	readonly symbols: number;
	readonly hasLines: boolean;
}

// ---- all of them ---------------------------------------------------------------------------------------------------

type None = Record<string, never> | undefined;

/** Command → arguments and body. */
export interface CustomRequests {
	"hyperscope/machine": { arguments: None; body: MachineInfo };
	"hyperscope/statistics": { arguments: None; body: Statistics };
	"hyperscope/memoryHash": { arguments: None; body: MemoryHash };
	"hyperscope/registers": { arguments: ThreadArguments; body: RegistersBody };
	"hyperscope/setRegister": { arguments: SetRegisterArguments; body: RegisterInfo };
	"hyperscope/tables": { arguments: ThreadArguments; body: TablesBody };
	"hyperscope/pageWalk": { arguments: PageWalkArguments; body: PageWalkBody };
	"hyperscope/mappings": { arguments: MappingsArguments; body: MappingsBody };
	"hyperscope/fragments": { arguments: FragmentsArguments; body: FragmentsBody };
	"hyperscope/fragment": { arguments: FragmentArguments; body: FragmentBody };
	"hyperscope/hashTable": { arguments: None; body: HashTableBody };
	"hyperscope/nestedWalk": { arguments: PageWalkArguments; body: NestedWalkBody };
	"hyperscope/events": { arguments: EventsArguments; body: EventsBody };
	"hyperscope/eventCounts": { arguments: None; body: EventCountsBody };
	"hyperscope/vmcs": { arguments: VmcsArguments; body: VmcsBody };
	"hyperscope/domains": { arguments: None; body: DomainsBody };
	"hyperscope/domainPages": { arguments: DomainPagesArguments; body: DomainPagesBody };
	"hyperscope/iommus": { arguments: None; body: IommusBody };
	"hyperscope/iommuWalk": { arguments: IommuWalkArguments; body: IommuWalkBody };
	"hyperscope/compare": { arguments: CompareArguments; body: CompareBody };
	"hyperscope/devices": { arguments: None; body: DevicesBody };
	"hyperscope/display": { arguments: None; body: DisplayBody };
	"hyperscope/memory": { arguments: MemoryArguments; body: MemoryBody };
	"hyperscope/lastWrite": { arguments: LastWriteArguments; body: undefined };
	"hyperscope/serialInput": { arguments: SerialInputArguments; body: undefined };
	"hyperscope/disassembleText": { arguments: DisassembleTextArguments; body: DisassembleTextBody };
	"hyperscope/setNumberFormat": { arguments: SetNumberFormatArguments; body: undefined };
	/** Sends `invalidated` for all areas: the editor reads everything anew. */
	"hyperscope/invalidate": { arguments: None; body: undefined };
	"hyperscope/setStepInterrupts": { arguments: SetStepInterruptsArguments; body: undefined };
	"hyperscope/loadSymbols": { arguments: LoadSymbolsArguments; body: LoadSymbolsBody };
}

export type CustomCommand = keyof CustomRequests;

/** Event → body. */
export interface CustomEvents {
	/** COM1 output, Base64. Not sent when `serial` is "output". */
	"hyperscope/serialOutput": { readonly data: string };
	/** Sent beside DAP's `stopped`, `continued` and `terminated`, for views that are not tied to a thread. */
	"hyperscope/state": { readonly state: MachineState; readonly instructionCount: number };
	/** What `hyperscope/compare` is doing, in one sentence. */
	"hyperscope/compareProgress": { readonly text: string };
}

export type CustomEvent = keyof CustomEvents;

/**
 * A breakpoint of any address space, for "Add breakpoint" in a view: a DAP function breakpoint
 * (`vscode.FunctionBreakpoint`) with this name. The address may lie inside a translated fragment.
 */
export function breakpointName(address: string): string {
	return `*${address}`;
}
