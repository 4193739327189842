// Virtual time. The machine moves it; devices read it and ask for alarms.

import type { Alarm, Clock } from "./device.ts";

interface Entry extends Alarm {
	readonly time: number;
	/** Counts the alarms asked for, so that equal times keep the order in which they were asked for. */
	readonly order: number;
	action: (() => void) | undefined;
}

function before(a: Entry, b: Entry): boolean {
	return a.time < b.time || (a.time === b.time && a.order < b.order);
}

/** The clock of one machine: virtual nanoseconds and a heap of alarms. */
export class VirtualClock implements Clock {
	private time = 0;
	private asked = 0;
	private heap: Entry[] = [];
	private cancelled = 0;

	/**
	 * While the processor runs between two calls of advanceTo(), time is what `live` says: a device that is read in the middle
	 * of a run sees the current instruction's moment. Undefined: time stands where advanceTo() left it.
	 */
	live: (() => number) | undefined;
	/** Called for each alarm that is asked for while `live` is set: the run may have to end earlier than it was meant to. */
	onAlarm: (time: number) => void = () => {};

	now(): number {
		return this.live ? Math.max(this.time, this.live()) : this.time;
	}

	at(time: number, action: () => void): Alarm {
		if (!Number.isSafeInteger(time)) throw new RangeError(`An alarm needs a whole nanosecond below 2^53, not ${time}.`);
		const entry: Entry = {
			time,
			order: this.asked++,
			action,
			cancel: () => {
				if (entry.action === undefined) return;
				entry.action = undefined;
				if (++this.cancelled * 2 > this.heap.length + 16) this.dropCancelled();
			},
		};
		this.heap.push(entry);
		this.siftUp(this.heap.length - 1);
		if (this.live) this.onAlarm(time);
		return entry;
	}

	/** Time of the earliest pending alarm in nanoseconds (it may have passed already); Infinity if none is pending. */
	nextAlarm(): number {
		while (this.heap.length > 0 && this.heap[0]!.action === undefined) {
			this.pop();
			this.cancelled--;
		}
		return this.heap.length > 0 ? this.heap[0]!.time : Number.POSITIVE_INFINITY;
	}

	/**
	 * Moves time forward to `target` and runs what falls due, by time, then by the order of asking. An action sees the time
	 * of its alarm. An alarm asked for during an action for a moment that has come already waits for the next call, so no chain
	 * of alarms can hold this one up for ever.
	 */
	advanceTo(target: number): void {
		if (!Number.isSafeInteger(target) || target < this.time)
			throw new RangeError(`Virtual time is ${this.time} ns and cannot be moved to ${target}.`);
		const late: Entry[] = [];
		const first = this.asked;
		while (this.nextAlarm() <= target) {
			const entry = this.pop();
			if (entry.time <= this.time && entry.order >= first) {
				late.push(entry);
				continue;
			}
			if (entry.time > this.time) this.time = entry.time;
			const action = entry.action!;
			entry.action = undefined;
			action();
		}
		this.time = target;
		for (const entry of late) {
			this.heap.push(entry);
			this.siftUp(this.heap.length - 1);
		}
	}

	/** Sets the time, as a snapshot has it, and drops all alarms: each device asks for its own again when it is restored. */
	restore(time: number): void {
		if (!Number.isSafeInteger(time) || time < 0) throw new RangeError(`${time} is no virtual time.`);
		this.time = time;
		this.heap = [];
		this.cancelled = 0;
		this.asked = 0;
	}

	private dropCancelled(): void {
		const pending = this.heap.filter((entry) => entry.action !== undefined).sort((a, b) => (before(a, b) ? -1 : 1));
		this.heap = pending;
		this.cancelled = 0;
	}

	private pop(): Entry {
		const heap = this.heap;
		const top = heap[0]!;
		const last = heap.pop()!;
		if (heap.length === 0) return top;
		let index = 0;
		for (;;) {
			let child = 2 * index + 1;
			if (child >= heap.length) break;
			if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
			if (!before(heap[child]!, last)) break;
			heap[index] = heap[child]!;
			index = child;
		}
		heap[index] = last;
		return top;
	}

	private siftUp(index: number): void {
		const heap = this.heap;
		const entry = heap[index]!;
		while (index > 0) {
			const parent = (index - 1) >> 1;
			if (!before(entry, heap[parent]!)) break;
			heap[index] = heap[parent]!;
			index = parent;
		}
		heap[index] = entry;
	}
}
