// How the services of the hypervisor reach what a hypercall's arguments point to. Pointers are guest-linear and come from a
// hostile guest: an access that its page tables do not allow is refused, and the hypercall fails with -EFAULT.

export interface HypercallMemory {
	/** Undefined when not all of the bytes can be read by the guest kernel. */
	read(linear: bigint, length: number): Uint8Array | undefined;
	/** False, and nothing stored, when not all of the bytes can be written by the guest kernel. */
	write(linear: bigint, bytes: Uint8Array): boolean;
}

/** A structure in guest memory that a hypercall reads and answers in. */
export class GuestStructure {
	private constructor(
		private readonly memory: HypercallMemory,
		private readonly linear: bigint,
		private readonly bytes: Uint8Array,
		readonly view: DataView,
	) {}

	/** Undefined when it cannot be read. */
	static read(memory: HypercallMemory, linear: bigint, length: number): GuestStructure | undefined {
		const bytes = memory.read(linear, length)?.slice();
		return bytes && new GuestStructure(memory, linear, bytes, new DataView(bytes.buffer));
	}

	/** Stores the structure with the answers that `view` holds now; false when it cannot be written. */
	store(): boolean {
		return this.memory.write(this.linear, this.bytes);
	}
}
