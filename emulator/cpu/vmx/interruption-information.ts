// The format of VM-entry and VM-exit interruption information and IDT-vectoring information (SDM Vol. 3C §25.8.3, §25.9.2).

import type { EventSource } from "../interrupt-delivery.ts";

export const InterruptionType = {
	external: 0,
	nmi: 2,
	hardwareException: 3,
	softwareInterrupt: 4,
	privilegedSoftwareException: 5,
	softwareException: 6,
	other: 7,
} as const;

export const ERROR_CODE_VALID = 1 << 11;
export const NMI_UNBLOCKING = 1 << 12;
export const VALID = 1 << 31;

const TYPE_OF: Readonly<Record<EventSource, number>> = {
	external: InterruptionType.external,
	nmi: InterruptionType.nmi,
	exception: InterruptionType.hardwareException,
	software: InterruptionType.softwareInterrupt,
	int1: InterruptionType.privilegedSoftwareException,
	"software-exception": InterruptionType.softwareException,
};

export function interruptionInformation(vector: number, source: EventSource, hasErrorCode: boolean): number {
	return VALID | (hasErrorCode ? ERROR_CODE_VALID : 0) | (TYPE_OF[source] << 8) | vector;
}

/** The source of an injected event; undefined for the reserved type 1 and for "other". */
export function sourceOfType(type: number): EventSource | undefined {
	return (Object.keys(TYPE_OF) as EventSource[]).find((source) => TYPE_OF[source] === type);
}
