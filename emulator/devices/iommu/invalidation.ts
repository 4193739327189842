// Invalidation of the caches, by registers and by the queue of descriptors in memory.
// Reference: Intel VT-d specification 3.3, §6.5.1 (registers), §6.5.2 (queue and descriptors), §10.4.7, §10.4.8.

import type { EventInterrupt } from "./event-interrupt.ts";
import type { FaultRecording } from "./fault-recording.ts";
import { FaultStatus, Offset, QueueError, type Words } from "./register-map.ts";
import type { ReadQuadword } from "./table-walk.ts";
import type { TranslationCaches } from "./translation-caches.ts";

/** Granularities as requests give them. */
const Granularity = { global: 1, domain: 2, selective: 3 } as const;

const Descriptor = { contextCache: 1, iotlb: 2, interruptEntries: 4, wait: 5 } as const;
/** Bits that a descriptor may have set, low and high half. */
const DEFINED: Readonly<Record<number, readonly [bigint, bigint]>> = {
	[Descriptor.contextCache]: [0x0003_ffff_ffff_003fn, 0n],
	[Descriptor.iotlb]: [0x0000_0000_ffff_00ffn, 0xffff_ffff_ffff_f07fn],
	[Descriptor.interruptEntries]: [0x0000_ffff_f800_001fn, 0n],
	[Descriptor.wait]: [0xffff_ffff_0000_00ffn, 0xffff_ffff_ffff_fffcn],
};
/** Largest address mask: 2^18 pages (CAP.MAMV). */
const MOST_MASK = 18;
/** Requester bits that a function mask ignores. */
const FUNCTION_MASKS = [0, 4, 6, 7] as const;
const WAIT_INTERRUPT = 0x10n;
const WAIT_STATUS_WRITE = 0x20n;
const QUEUE_DESCRIPTOR_256 = 0x800;
const COMMAND_START = 0x8000_0000;

export interface InvalidationMemory {
	readonly read: ReadQuadword;
	/** Writes a dword; false where there is no memory. */
	write32(address: bigint, value: number): boolean;
}

export class Invalidation {
	constructor(
		private readonly words: Words,
		private readonly caches: TranslationCaches,
		private readonly memory: InvalidationMemory,
		private readonly faults: FaultRecording,
		private readonly completion: EventInterrupt,
	) {}

	/** The high dword of CCMD is written. What was done is given back in CAIG. */
	contextCommand(high: number): void {
		const { words } = this;
		if (!(high & COMMAND_START)) return;
		const granularity = (high >>> 29) & 3;
		const low = words.get(Offset.contextCommand);
		const done = this.dropContexts(granularity, low & 0xffff, low >>> 16, high & 3);
		words.set(Offset.contextCommand + 4, (high & 0x6000_0003) | (done << 27));
	}

	/** The high dword of the IOTLB register is written. */
	iotlbCommand(high: number): void {
		const { words } = this;
		if (!(high & COMMAND_START)) return;
		const granularity = (high >>> 28) & 3;
		const done = this.dropPages(granularity, high & 0xffff, words.get64(Offset.invalidateAddress));
		words.set(Offset.invalidateIotlb + 4, (high & 0x3003_ffff) | (done << 25));
	}

	/** The granularity that was performed; 0 for a request that makes no sense. */
	private dropContexts(granularity: number, domain: number, source: number, functionMask: number): number {
		const { caches } = this;
		if (granularity === Granularity.global) caches.dropContexts();
		else if (granularity === Granularity.domain) caches.dropContexts(domain);
		else if (granularity === Granularity.selective)
			caches.dropContexts(domain, source, FUNCTION_MASKS[functionMask & 3]);
		return granularity;
	}

	private dropPages(granularity: number, domain: number, address: bigint): number {
		const { caches } = this;
		if (granularity === Granularity.global) caches.dropPages();
		else if (granularity === Granularity.domain) caches.dropPages(domain);
		else if (granularity === Granularity.selective) {
			const mask = Number(address & 0x3fn);
			if (mask > MOST_MASK) return 0;
			const size = 0x1000n << BigInt(mask);
			const start = address & -size;
			caches.dropPages(domain, start, start + size);
		}
		return granularity;
	}

	/** Takes the descriptors from head to tail; stops at one that is wrong until software has cleared the error. */
	runQueue(): void {
		const { words } = this;
		const bytes = 0x1000 << (words.get(Offset.queueAddress) & 7);
		for (let steps = 0; steps < bytes / 16; steps++) {
			const head = words.get(Offset.queueHead);
			if (words.get(Offset.faultStatus) & FaultStatus.queueError || head === words.get(Offset.queueTail)) return;
			const error = this.take(head, bytes);
			if (error !== QueueError.none) {
				words.set(Offset.queueError, error);
				this.faults.note(FaultStatus.queueError);
				return;
			}
			words.set(Offset.queueHead, (head + 16) % bytes);
		}
	}

	/** Does what the descriptor at the head says. The result is one of QueueError. */
	private take(head: number, bytes: number): number {
		const { words } = this;
		if (words.get(Offset.queueAddress) & QUEUE_DESCRIPTOR_256) return QueueError.reserved;
		if (words.get(Offset.queueTail) >= bytes || head >= bytes) return QueueError.tailBeyondQueue;
		const at = (words.get64(Offset.queueAddress) & ~0xfffn) + BigInt(head);
		const low = this.memory.read(at);
		const high = this.memory.read(at + 8n);
		return low === undefined || high === undefined ? QueueError.tableAccess : this.execute(low, high);
	}

	private execute(low: bigint, high: bigint): number {
		const { caches } = this;
		const type = Number((low & 0xfn) | ((low >> 5n) & 0x70n));
		const defined = DEFINED[type];
		if (!defined) return QueueError.invalidDescriptor;
		if (low & ~defined[0] || high & ~defined[1]) return QueueError.reserved;
		const granularity = Number((low >> 4n) & 3n);
		const domain = Number((low >> 16n) & 0xffffn);
		switch (type) {
			case Descriptor.contextCache: {
				const source = Number((low >> 32n) & 0xffffn);
				const done = this.dropContexts(granularity, domain, source, Number((low >> 48n) & 3n));
				return done === 0 ? QueueError.invalidDescriptor : QueueError.none;
			}
			case Descriptor.iotlb:
				return this.dropPages(granularity, domain, high) === 0 ? QueueError.invalidDescriptor : QueueError.none;
			case Descriptor.interruptEntries:
				if (low & 0x10n) {
					const count = 2 ** Number((low >> 27n) & 0x1fn);
					caches.dropInterrupts(Number((low >> 32n) & 0xffffn) & -count, count);
				} else caches.dropInterrupts();
				return QueueError.none;
			default:
				return this.wait(low, high);
		}
	}

	/** Everything before it is done by now: tells so in memory and by interrupt. */
	private wait(low: bigint, high: bigint): number {
		if (low & WAIT_STATUS_WRITE && !this.memory.write32(high & ~3n, Number(low >> 32n))) return QueueError.tableAccess;
		if (low & WAIT_INTERRUPT && !(this.words.get(Offset.completionStatus) & 1)) {
			this.words.set(Offset.completionStatus, 1);
			this.completion.raise();
		}
		return QueueError.none;
	}
}
