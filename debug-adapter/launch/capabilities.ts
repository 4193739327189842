import type { DebugProtocol } from "@vscode/debugprotocol";
import { breakpointModes } from "../breakpoints/breakpoint-modes.ts";
import { exceptionBreakpointFilters } from "../exceptions/event-filters.ts";
import type { Technique } from "../protocol.ts";

/**
 * What the adapter can do, and nothing more.
 * @param technique the one that the client is going to launch, when it says so
 */
export function capabilities(technique?: Technique): DebugProtocol.Capabilities {
	return {
		supportsConfigurationDoneRequest: true,
		supportsFunctionBreakpoints: true,
		supportsConditionalBreakpoints: true,
		supportsHitConditionalBreakpoints: true,
		supportsLogPoints: true,
		supportsInstructionBreakpoints: true,
		supportsDataBreakpoints: true,
		supportsDataBreakpointBytes: true,
		breakpointModes: [...breakpointModes],
		supportsBreakpointLocationsRequest: true,
		supportsExceptionFilterOptions: true,
		exceptionBreakpointFilters: exceptionBreakpointFilters(technique),
		supportsExceptionInfoRequest: true,
		supportsSteppingGranularity: true,
		supportsStepBack: true,
		supportsStepInTargetsRequest: true,
		supportsRestartFrame: true,
		supportsGotoTargetsRequest: true,
		supportsRestartRequest: true,
		supportsTerminateRequest: true,
		supportsCancelRequest: true,
		supportsDelayedStackTraceLoading: true,
		supportsSetVariable: true,
		supportsSetExpression: true,
		supportsEvaluateForHovers: true,
		supportsClipboardContext: true,
		supportsCompletionsRequest: true,
		completionTriggerCharacters: ["$", ".", ">", "/"],
		supportsModulesRequest: true,
		supportsLoadedSourcesRequest: true,
		supportsDisassembleRequest: true,
		supportsReadMemoryRequest: true,
		supportsWriteMemoryRequest: true,
	};
}
