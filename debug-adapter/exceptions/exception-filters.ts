import type { DebugProtocol } from "@vscode/debugprotocol";
import type { EventFilter, EventName, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { Trigger } from "../breakpoints/trigger.ts";
import type { Debuggee } from "../debuggee.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { exceptionVectors, vectorTitle } from "./vectors.ts";

const condition = {
	supportsCondition: true,
	conditionDescription:
		"An expression over registers and memory, and $vector, $error (the error code) and $address (the faulting address)",
} as const;

interface Filter extends DebugProtocol.ExceptionBreakpointsFilter {
	readonly event: EventName;
	readonly vector?: number;
	/** Only the binary translator raises it. */
	readonly translatorOnly?: boolean;
}

const eventFilters: readonly Filter[] = [
	{
		filter: "triple-fault",
		event: "triple-fault",
		label: "Triple fault",
		description: "A fault while a double fault is delivered; the state is the one at the fault",
		default: true,
	},
	{
		filter: "true-page-fault",
		event: "true-page-fault",
		label: "True page fault",
		description: "The guest's own tables forbid the access; the guest's handler runs",
	},
	{
		filter: "hidden-page-fault",
		event: "hidden-page-fault",
		label: "Hidden page fault",
		description: "Only the shadow tables lacked the mapping; the guest does not see it",
		translatorOnly: true,
	},
	{
		filter: "translate",
		event: "translate",
		label: "Translation of a TU",
		description: "The binary translator makes a fragment of a translation unit",
		translatorOnly: true,
	},
	{
		filter: "callout",
		event: "callout",
		label: "Callout",
		description: "Translated code calls the VMM",
		translatorOnly: true,
	},
	{
		filter: "mode-switch",
		event: "mode-switch",
		label: "Mode switch",
		description: "The processor enters or leaves protected, long or paged mode",
	},
	{
		filter: "interrupt",
		event: "interrupt",
		label: "Any external interrupt",
		description: "An interrupt of a device is delivered; give $vector == 32 as the condition for one of them",
	},
	{ filter: "exception", event: "exception", label: "Any exception", description: "Vectors 0 to 31" },
];

const filters: readonly Filter[] = [
	...eventFilters,
	...exceptionVectors.map(
		({ vector }): Filter => ({
			filter: `vector-${vector}`,
			event: "exception",
			vector,
			label: vectorTitle(vector),
			description: "When it is raised, before its handler runs",
		}),
	),
];

/** For `initialize`. */
export function exceptionBreakpointFilters(): DebugProtocol.ExceptionBreakpointsFilter[] {
	return filters.map((filter) => ({
		filter: filter.filter,
		label: filter.label,
		...(filter.description ? { description: filter.description } : {}),
		default: filter.default ?? false,
		...condition,
	}));
}

/** The events to stop at, as the client chose them. */
export class ExceptionFilters {
	private chosen: { readonly id: number; readonly filter: Filter; readonly trigger: Trigger }[] = [];

	constructor(
		private readonly debuggee: Debuggee,
		private readonly machine: () => VirtualMachine | undefined,
	) {}

	/** Tells the machine. Does nothing before there is one. */
	install(): void {
		this.machine()?.setEventFilters(
			this.chosen.map(
				({ id, filter }): EventFilter => ({
					id,
					event: filter.event,
					...(filter.vector === undefined ? {} : { vector: filter.vector }),
				}),
			),
		);
	}

	/** The triggers of the filters with the machine's ids. */
	triggers(ids: readonly number[]): Trigger[] {
		return this.chosen.filter(({ id }) => ids.includes(id)).map(({ trigger }) => trigger);
	}

	readonly requests: RequestHandlers = {
		setExceptionBreakpoints: (args) => {
			const wanted = [
				...args.strings("filters").map((name) => ({ name, condition: undefined as string | undefined })),
				...args.objects("filterOptions").map((option) => ({
					name: option.string("filterId"),
					condition: option.optionalString("condition"),
				})),
			];
			const chosen = wanted.map(({ name, condition: text }, index) => {
				const filter = filters.find((one) => one.filter === name);
				if (!filter)
					throw new RequestError(
						`There is no exception filter "${name}": the filters are ${filters.map((one) => one.filter).join(", ")}.`,
					);
				return { id: index + 1, filter, trigger: new Trigger(text, undefined, undefined) };
			});
			this.chosen = chosen;
			this.install();
			const machine = this.debuggee.hasMachine ? this.debuggee.machine : undefined;
			return {
				breakpoints: chosen.map(({ filter }) =>
					filter.translatorOnly && machine && machine.technique !== "bt"
						? {
								verified: false,
								message: `"${filter.label}" happens only under "vmm": "bt"; this machine runs under "${machine.technique}".`,
							}
						: { verified: true },
				),
			};
		},
	};
}
