// Everything that the extension and a webview say to each other. A webview asks only for what is listed here; the
// extension forwards those requests to the debug adapter and does the actions, and nothing else.
import type { CompareBody, CustomRequests, MachineInfo, MachineState, Technique } from "../debug-adapter/protocol.ts";

/** The views: each the name of its folder here, of its bundle and of its icon. */
export type ViewName =
	| "page-tables"
	| "fragments"
	| "timeline"
	| "vmcs"
	| "hypercalls"
	| "domains"
	| "iommu"
	| "display"
	| "memory"
	| "comparison";

/** The custom requests that a webview may send. They only look; none changes the guest. */
export const viewCommands = [
	"hyperscope/tables",
	"hyperscope/pageWalk",
	"hyperscope/mappings",
	"hyperscope/fragments",
	"hyperscope/fragment",
	"hyperscope/hashTable",
	"hyperscope/nestedWalk",
	"hyperscope/events",
	"hyperscope/eventCounts",
	"hyperscope/vmcs",
	"hyperscope/domains",
	"hyperscope/domainPages",
	"hyperscope/iommus",
	"hyperscope/iommuWalk",
	"hyperscope/display",
	"hyperscope/memory",
] as const satisfies readonly (keyof CustomRequests)[];

export type ViewCommand = (typeof viewCommands)[number];

/** What a webview knows of the session that it shows. */
export interface ViewState {
	/** "none": no session; "starting": no state known yet. */
	readonly phase: "none" | "starting" | MachineState;
	readonly technique?: Technique;
	readonly hasTranslationCache: boolean;
	/** Which views have something to show; absent before the machine is known. */
	readonly shows?: MachineInfo["shows"];
	/** The thread of the selected stack item; absent unless the machine is stopped. */
	readonly thread?: { readonly id: number; readonly kind: "vcpu" | "pcpu"; readonly name: string };
	/** One more at each stop and each change from outside: what was read under an older number is stale. */
	readonly revision: number;
	/** Names of the function breakpoints ("*0x…"), to mark the lines that have one. */
	readonly breakpoints: readonly string[];
}

/** What a click in a webview asks the editor to do. Addresses are in the prefix grammar of the debug adapter. */
export type ViewAction =
	| { readonly action: "toggleBreakpoint"; readonly address: string }
	| { readonly action: "walkAddress"; readonly address: string }
	| { readonly action: "showFragment"; readonly address: string }
	| { readonly action: "disassemble"; readonly address: string }
	/** The source line of the instruction, or the disassembly where there is none. */
	| { readonly action: "showInstruction"; readonly address: string }
	/** Base64; the editor asks the debug adapter to write it, and shows what speaks against it. */
	| { readonly action: "writeMemory"; readonly address: string; readonly data: string }
	| { readonly action: "openSource"; readonly path: string; readonly line: number }
	| { readonly action: "startDebugging" }
	| { readonly action: "openSample" }
	| { readonly action: "compare" }
	| { readonly action: "pause" };

export type FromWebview =
	| { readonly kind: "ready" }
	| { readonly kind: "request"; readonly id: number; readonly command: ViewCommand; readonly arguments: unknown }
	| ({ readonly kind: "action" } & ViewAction);

export type ToWebview =
	| { readonly kind: "state"; readonly state: ViewState }
	| { readonly kind: "answer"; readonly id: number; readonly body: unknown }
	| { readonly kind: "refused"; readonly id: number; readonly sentence: string }
	/** Show this address (an expression): walk it, or select the fragment that holds it. */
	| { readonly kind: "show"; readonly address: string }
	/** For the comparison: what it is doing, its result, or why there is none. */
	| { readonly kind: "comparison"; readonly progress: string }
	| { readonly kind: "comparison"; readonly result: CompareBody }
	| { readonly kind: "comparison"; readonly refused: string };

/** What the view of a comparison is told. */
export type ComparisonMessage = ToWebview & { readonly kind: "comparison" };
