import type { EventFilter, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { Trigger } from "../breakpoints/trigger.ts";
import type { Debuggee } from "../debuggee.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { type Filter, filters } from "./event-filters.ts";

/** The events to stop at, as the client chose them. */
export class ExceptionFilters {
	private chosen: { readonly id: number; readonly filter: Filter; readonly trigger: Trigger }[] = [];

	constructor(
		private readonly debuggee: Debuggee,
		private readonly machine: () => VirtualMachine | undefined,
	) {}

	/** Tells the machine. Does nothing before there is one. */
	install(): void {
		this.machine()?.setEventFilters(this.chosen.map(({ id, filter }): EventFilter => ({ id, ...filter.machine })));
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
						`There is no exception filter "${name}": the filters are those that the answer to initialize lists.`,
					);
				return { id: index + 1, filter, trigger: new Trigger(text, undefined, undefined) };
			});
			this.chosen = chosen;
			this.install();
			const machine = this.debuggee.hasMachine ? this.debuggee.machine : undefined;
			return {
				breakpoints: chosen.map(({ filter: { label, techniques } }) =>
					techniques && machine && !techniques.includes(machine.technique)
						? {
								verified: false,
								message: `"${label}" happens only under "vmm": ${techniques.map((one) => `"${one}"`).join(" or ")}; this machine runs under "${machine.technique}".`,
							}
						: { verified: true },
				),
			};
		},
	};
}
