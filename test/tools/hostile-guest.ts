// A guest that does anything: random register accesses and passing time. No device may throw, look different after looking,
// or run differently after its state was saved and restored.
import assert from "node:assert/strict";
import fc from "fast-check";
import { VirtualClock } from "../../emulator/devices/clock.ts";
import type { AccessSize, Device, InterruptLine, RegisterBlock } from "../../emulator/devices/device.ts";

/** A device set up for the property: its ranges, and what its surroundings may do to it (each given a random 32-bit number). */
export interface Subject {
	readonly device: Device;
	readonly blocks: readonly { block: RegisterBlock; length: number }[];
	readonly stimuli?: readonly ((value: number) => void)[];
}

type Operation =
	| { do: "read"; block: number; offset: number; size: AccessSize }
	| { do: "write"; block: number; offset: number; size: AccessSize; value: number }
	| { do: "advance"; nanoseconds: number }
	| { do: "stimulus"; index: number; value: number };

const size = fc.constantFrom<AccessSize>(1, 1, 1, 2, 4);
const value = fc.oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 0xffff_ffff }));
const operation: fc.Arbitrary<Operation> = fc.oneof(
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const), block: fc.nat(), offset: fc.nat(), size }) },
	{
		weight: 6,
		arbitrary: fc.record({ do: fc.constant("write" as const), block: fc.nat(), offset: fc.nat(), size, value }),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			do: fc.constant("advance" as const),
			nanoseconds: fc.oneof(fc.nat(2_000), fc.nat(2_000_000), fc.nat(30_000_000)),
		}),
	},
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("stimulus" as const), index: fc.nat(), value }) },
);

function perform(subject: Subject, clock: VirtualClock, operations: readonly Operation[]): number[] {
	const answers: number[] = [];
	for (const one of operations) {
		if (one.do === "advance") clock.advanceTo(clock.now() + one.nanoseconds);
		else if (one.do === "stimulus") {
			const stimuli = subject.stimuli ?? [];
			if (stimuli.length > 0) stimuli[one.index % stimuli.length]!(one.value);
		} else {
			if (subject.blocks.length === 0) continue;
			const { block, length } = subject.blocks[one.block % subject.blocks.length]!;
			const wide = Math.min(one.size, block.widestAccess ?? 4, length & -length) as AccessSize;
			const offset = (one.offset % length) & -wide;
			if (one.do === "read") {
				const answer = block.read(offset, wide);
				assert.ok(
					Number.isInteger(answer) && answer >= 0 && answer < 2 ** (8 * wide),
					`read of ${wide} bytes at ${offset} answered ${answer}`,
				);
				answers.push(answer);
			} else block.write(offset, wide, wide === 4 ? one.value : one.value & (wide === 2 ? 0xffff : 0xff));
		}
	}
	return answers;
}

/** Checks the property for what `make` builds; fast-check prints the seed and the shortest failing run. */
export function checkHostileGuest(make: (clock: VirtualClock) => Subject, runs = 150): void {
	const operations = fc.array(operation, { maxLength: 60 });
	fc.assert(
		fc.property(operations, operations, (first, second) => {
			const clock = new VirtualClock();
			const subject = make(clock);
			perform(subject, clock, first);
			const saved = subject.device.save();
			const looked = subject.device.registers();
			assert.deepEqual(subject.device.save(), saved, "looking changed the state");
			const copyClock = new VirtualClock();
			const copy = make(copyClock);
			copyClock.restore(clock.now());
			copy.device.restore(saved);
			assert.deepEqual(copy.device.save(), saved, "the state did not survive");
			assert.deepEqual(copy.device.registers(), looked);
			assert.deepEqual(perform(copy, copyClock, second), perform(subject, clock, second), "answers differ");
			assert.deepEqual(copy.device.save(), subject.device.save(), "the restored device ran differently");
			assert.equal(copyClock.nextAlarm(), clock.nextAlarm());
			subject.device.reset();
			const fresh = make(new VirtualClock());
			assert.deepEqual(
				subject.device.registers().map((register) => register.name),
				fresh.device.registers().map((register) => register.name),
			);
		}),
		{ numRuns: runs },
	);
}

/** An interrupt input that remembers its level and counts rising edges. */
export class RecordingLine implements InterruptLine {
	level = false;
	edges = 0;
	set(asserted: boolean): void {
		if (asserted && !this.level) this.edges++;
		this.level = asserted;
	}
}
