// Nanoseconds per instruction of small loops in each tier of the engine, without paging or devices. The x87 loops need no helper: the
// processor has none.

import type { EngineTier } from "../../emulator/engine/execution-engine.ts";
import { FlatProcessor } from "../../emulator/engine/flat-processor.ts";
import { RAM_BASE, State } from "../../emulator/isa/state.ts";

const CODE = 0x1000;
const DATA = 0x2000;
const STACK = 0x8000;
const INSTRUCTIONS = 30_000_000;
const ROUNDS = 4;

/** 32-bit code; EBX points to data, ECX counts up to EDX, which is never reached. */
const LOOPS: Readonly<Record<string, readonly number[]>> = {
	"ALU on registers": [0x41, 0x01, 0xc8, 0x31, 0xd8, 0x39, 0xd1, 0x75, 0xf7],
	"MOV between registers": [0x89, 0xc8, 0x89, 0xc6, 0x89, 0xcf, 0x89, 0xc8, 0x89, 0xc6, 0x89, 0xcf, 0xeb, 0xf2],
	loads: [0x8b, 0x03, 0x8b, 0x43, 0x04, 0x8b, 0x73, 0x08, 0x8b, 0x7b, 0x0c, 0xeb, 0xf3],
	stores: [0x89, 0x03, 0x89, 0x43, 0x04, 0x89, 0x73, 0x08, 0x89, 0x7b, 0x0c, 0xeb, 0xf3],
	"PUSH and POP": [0x50, 0x58, 0x50, 0x58, 0x50, 0x58, 0x50, 0x58, 0xeb, 0xf6],
	"CALL and RET": [0xe8, 0x02, 0, 0, 0, 0xeb, 0xf9, 0xc3],
	"PADDD on XMM": [0x66, 0x0f, 0xfe, 0xc1, 0x66, 0x0f, 0xfe, 0xca, 0xeb, 0xf6],
	"FLD, FMUL, FADD, FSTP m64": [0xdd, 0x03, 0xdc, 0x4b, 0x08, 0xdc, 0x43, 0x10, 0xdd, 0x5b, 0x18, 0xeb, 0xf3],
	"the same with denormals": [0xdd, 0x43, 0x60, 0xdc, 0x4b, 0x08, 0xdc, 0x43, 0x60, 0xdd, 0x5b, 0x68, 0xeb, 0xf2],
	// FLD [EBX+ECX*8]; FMUL ST(0), ST(1); FADD and FSTP [EBX+ECX*8+1000H]; INC ECX; AND ECX, 1FFH
	"x87: y[i] += a × x[i]": [
		...[0xdd, 0x04, 0xcb, 0xd8, 0xc9, 0xdc, 0x84, 0xcb, 0x00, 0x10, 0, 0, 0xdd, 0x9c, 0xcb, 0x00, 0x10, 0, 0],
		...[0x41, 0x81, 0xe1, 0xff, 0x01, 0, 0, 0xeb, 0xe4],
	],
	"FDIV and FSQRT": [0xdd, 0x03, 0xdc, 0x73, 0x08, 0xd9, 0xfa, 0xdd, 0x5b, 0x18, 0xeb, 0xf4],
	"FILD and FISTP": [0xdb, 0x43, 0x70, 0xdf, 0x7b, 0x78, 0xdf, 0x6b, 0x78, 0xdb, 0x5b, 0x70, 0xeb, 0xf2],
	"FLD ST, FXCH, FCOMI, FCHS, FSTP": [0xd9, 0xc0, 0xd9, 0xc9, 0xdb, 0xf1, 0xd9, 0xe0, 0xdd, 0xd8, 0xeb, 0xf4],
};

/** Doubles that the x87 loops read, two denormals among them, and the multiplier in ST(0). */
function layNumbers({ i32, view }: FlatProcessor["physical"]): void {
	for (let index = 0; index < 1024; index++) view.setFloat64(RAM_BASE + DATA + index * 8, 1 + index / 7, true);
	view.setFloat64(RAM_BASE + DATA + 0x60, 3e-310, true);
	view.setBigInt64(RAM_BASE + DATA + 0x70, 123456n, true);
	i32[State.x87Control >> 2] = 0x37f;
	i32[State.x87Status >> 2] = 7 << 11;
	i32[State.x87Tag >> 2] = 0x80;
	view.setBigUint64(State.x87 + 7 * 16, 0x8123456789abcdefn, true);
	view.setUint16(State.x87 + 7 * 16 + 8, 0x3f00, true);
}

/** The best of some rounds for each loop, in nanoseconds of processor time per instruction. */
export function measureLoops(tier: EngineTier): { name: string; nanoseconds: number }[] {
	return Object.entries(LOOPS).map(([name, code]) => {
		const processor = new FlatProcessor(1 << 20, 2, {}, tier);
		const { i64, i32 } = processor.physical;
		processor.physical.poke(CODE, Uint8Array.from(code));
		i32[State.sseTrap >> 2] = 0;
		i64[State.rip >> 3] = BigInt(CODE);
		i64[3] = BigInt(DATA);
		i64[2] = 0xffffffffn;
		i64[4] = BigInt(STACK);
		layNumbers(processor.physical);
		let best = Number.POSITIVE_INFINITY;
		for (let round = 0; round < ROUNDS; round++) {
			const before = process.cpuUsage();
			processor.engine.execute(INSTRUCTIONS);
			const { user } = process.cpuUsage(before);
			best = Math.min(best, (user * 1000) / INSTRUCTIONS);
		}
		return { name, nanoseconds: best };
	});
}
