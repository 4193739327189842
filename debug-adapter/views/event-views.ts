import type { VmEvent, VmEventField, VmEventKind, VmEventTimeline } from "../../emulator/machine/vm-events.ts";
import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { EventCountsBody, EventField, EventInfo, EventsBody } from "../hypervisor-protocol.ts";
import type { Program } from "../program/program.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";

const MOST_EVENTS = 1024;
/** Parts of one field, and fields in fields: what a guest batches has no other bound. */
const MOST_PARTS = 256;
const DEEPEST = 4;

const kinds = [
	"exit",
	"entry",
	"callout",
	"hidden-fault",
	"true-fault",
	"exception",
	"hypercall",
	"interrupt",
	"dma-fault",
	"translation",
	"mode-switch",
	"misbehaviour",
] as const satisfies readonly VmEventKind[];

/** Fields with their values as texts: big integers as hexadecimal numbers, small ones (counts, codes) as decimal. */
export function describeFields(fields: readonly VmEventField[], depth = 0): EventField[] {
	return fields.slice(0, MOST_PARTS).map(({ name, value }) => {
		if (typeof value === "bigint") return { name, value: hex(value) };
		if (typeof value !== "object") return { name, value: String(value) };
		if (depth === DEEPEST) return { name, value: `${value.length} parts` };
		return { name, parts: describeFields(value, depth + 1) };
	});
}

export function eventViewRequests(debuggee: Debuggee, program: Program): RequestHandlers {
	const timeline = (): VmEventTimeline => {
		const { events, technique } = debuggee.machine;
		if (!events) throw new RequestError(`The technique "${technique}" does not record events.`);
		return events;
	};

	const describe = (event: VmEvent): EventInfo => {
		const { instruction } = event;
		const symbol = instruction === undefined ? undefined : program.symbolize(instruction);
		return {
			sequence: event.sequence,
			instructionCount: event.instructionCount,
			kind: event.kind,
			threadId: event.processor,
			...(instruction === undefined ? {} : { instruction: hex(instruction) }),
			...(symbol === undefined ? {} : { symbol }),
			reason: event.reason,
			detail: describeFields(event.detail),
		};
	};

	return {
		"hyperscope/events": (args): EventsBody => {
			const names = args.has("kinds") ? args.strings("kinds") : kinds;
			const reason = args.optionalString("reason");
			const before = args.optionalInteger("before", 0);
			const limit = args.optionalInteger("limit", 1, MOST_EVENTS) ?? 256;
			const wanted = names.map((name) => {
				const kind = kinds.find((one) => one === name);
				if (!kind) throw new RequestError(`There is no kind of event "${name}": the kinds are ${kinds.join(", ")}.`);
				return kind;
			});
			const events = timeline();
			const found = events.read({
				kinds: wanted,
				limit: limit + 1,
				...(reason === undefined ? {} : { reason }),
				...(before === undefined ? {} : { before }),
			});
			const shown = found.slice(0, limit);
			return {
				total: events.total,
				events: shown.map(describe),
				...(found.length > limit ? { next: shown.at(-1)!.sequence } : {}),
			};
		},

		"hyperscope/eventCounts": (): EventCountsBody => {
			const events = timeline();
			return { total: events.total, counts: events.counts() };
		},
	};
}
