// Resource descriptors, the contents of _CRS and _PRS. Reference: ACPI Specification 6.4, section 6.4 "Resource Data Types for ACPI".

import { buffer, type Term } from "./aml.ts";
import { double, word } from "./table-bytes.ts";

const Small = { interrupt: 0x22, port: 0x47, end: 0x79 } as const;
const Large = { doubleRange: 0x87, wordRange: 0x88, interrupt: 0x89 } as const;
const RangeType = { memory: 0, port: 1, bus: 2 } as const;
/** The device hands the range on to its children; both ends are fixed. */
const PRODUCER_FIXED = 0x0c;
/** Both ISA and other addresses. */
const ENTIRE_RANGE = 0x03;
const MEMORY_WRITABLE = 0x01;
/** Consumed, level, active high, shared. */
const LEVEL_SHARED = 0x09;
/** All 16 address lines are decoded. */
const DECODE_16 = 1;

/** Where the number of an extended interrupt descriptor lies. */
export const INTERRUPT_NUMBER = 5;

export const ports = (first: number, count: number): number[] => [
	...[Small.port, DECODE_16, ...word(first), ...word(first), 1, count],
];
/** Edge triggered, active high, not shared: as ISA has it. */
export const isaInterrupt = (number: number): number[] => [Small.interrupt, ...word(1 << number)];
/** An interrupt out of those given, shared and level triggered. */
export const sharedInterrupt = (numbers: readonly number[]): number[] => [
	...[Large.interrupt, ...word(2 + 4 * numbers.length), LEVEL_SHARED, numbers.length],
	...numbers.flatMap(double),
];

function wordRange(type: number, flags: number, first: number, last: number): number[] {
	const values = [0, first, last, 0, last - first + 1].flatMap(word);
	return [Large.wordRange, ...word(3 + values.length), type, PRODUCER_FIXED, flags, ...values];
}

export const busRange = (first: number, last: number): number[] => wordRange(RangeType.bus, 0, first, last);
export const portRange = (first: number, last: number): number[] =>
	wordRange(RangeType.port, ENTIRE_RANGE, first, last);
export function memoryRange(first: number, last: number): number[] {
	const values = [0, first, last, 0, last - first + 1].flatMap(double);
	return [
		...[Large.doubleRange, ...word(3 + values.length), RangeType.memory, PRODUCER_FIXED, MEMORY_WRITABLE],
		...values,
	];
}

/** A buffer of descriptors; a checksum of 0 says that there is none (§6.4.2.9). */
export const resources = (...descriptors: readonly Term[]): number[] => buffer([...descriptors.flat(), Small.end, 0]);
