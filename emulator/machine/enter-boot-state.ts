// Puts the processor into the state that a boot protocol asks for.

import type { ArchitecturalProcessor } from "../cpu/processor.ts";
import { Cr0 } from "../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../isa/state.ts";
import type { BootState } from "./loaders/boot-state.ts";

const NUMBERS = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 } as const;
/** Access rights as in SegmentSlot.access: present, 32-bit, 4-KByte granularity; code execute/read or data read/write, accessed. */
const FLAT_CODE = 0xc09b;
const FLAT_DATA = 0xc093;

export function enterBootState(processor: ArchitecturalProcessor, boot: BootState): void {
	const { state } = processor.core;
	processor.reset();
	for (let register = 0; register < 8; register++) state.setGpr32(register, 0);
	for (const [name, value] of Object.entries(boot.registers))
		state.setGpr32(NUMBERS[name as keyof typeof NUMBERS], value);
	state.cr0 = Cr0.PE | Cr0.ET;
	const data: SegmentIndex[] = [Segment.es, Segment.ss, Segment.ds, Segment.fs, Segment.gs];
	for (const segment of data) state.setSegment(segment, boot.dataSelector, FLAT_DATA, 0, 0, 0xffffffff);
	state.setSegment(Segment.cs, boot.codeSelector, FLAT_CODE, 0, 0, 0xffffffff);
	if (boot.gdt) {
		state.i32[State.gdtrBase >> 2] = boot.gdt.base;
		state.i32[State.gdtrLimit >> 2] = boot.gdt.limit;
	} else state.i32[State.gdtrLimit >> 2] = 0;
	state.rip = BigInt(boot.instructionPointer);
	state.updateMode();
}
