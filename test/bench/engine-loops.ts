// Nanoseconds per instruction of small loops in each tier of the engine, without paging or devices.

import type { EngineTier } from "../../emulator/engine/execution-engine.ts";
import { FlatProcessor } from "../../emulator/engine/flat-processor.ts";
import { State } from "../../emulator/isa/state.ts";

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
};

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
