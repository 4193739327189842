// VM events in words.
import type { EventField, EventInfo, EventKind } from "../../debug-adapter/protocol.ts";
import { element } from "./element.ts";

const titles: Readonly<Record<EventKind, string>> = {
	exit: "VM exit",
	entry: "VM entry",
	callout: "Callout",
	"hidden-fault": "Hidden page fault",
	"true-fault": "True page fault",
	exception: "Exception",
	hypercall: "Hypercall",
	interrupt: "Interrupt",
	"dma-fault": "DMA fault",
	translation: "Translation",
	"mode-switch": "Mode switch",
	misbehaviour: "Misbehaviour",
};

export function kindTitle(kind: EventKind): string {
	return titles[kind];
}

/** "address 0xc0100000, requests (2)" */
export function fieldsText(fields: readonly EventField[]): string {
	return fields
		.map(({ name, value, parts }) => (parts ? `${name} (${parts.length})` : `${name} ${value ?? ""}`))
		.join(", ");
}

/** "main+0x12", or the address, or nothing for a device's event. */
export function placeText(event: EventInfo): string {
	return event.symbol ?? event.instruction ?? "";
}

/** The fields as nested definition lists. */
export function fieldList(fields: readonly EventField[]): HTMLElement {
	return element(
		"dl",
		{ class: "fields" },
		...fields.flatMap(({ name, value, parts }) => [
			element("dt", {}, name),
			element("dd", { class: "mono" }, parts ? fieldList(parts) : (value ?? "")),
		]),
	);
}
