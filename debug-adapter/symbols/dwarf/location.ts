// Reference: DWARF 5 section 2.6 "Location Descriptions".

/** What a location expression may ask of the machine. Register numbers are those of DWARF for the processor. */
export interface LocationContext {
	/** The register's value in the frame; undefined when it is not known there. */
	readRegister(register: number): bigint | undefined;
	/** Bytes of guest-linear memory, without side effects; undefined when they cannot be read. */
	readMemory(address: bigint, length: number): Uint8Array | undefined;
	/** The function's frame base, if it has been evaluated. */
	readonly frameBase?: bigint | undefined;
	/** The frame's canonical frame address, from call frame information. */
	readonly cfa?: bigint | undefined;
	/** Adds the load bias to an address as linked; the identity when the file is where it was linked. */
	relocate?(address: bigint): bigint;
}

/** Where an object is, or its value. */
export type Location =
	| { readonly kind: "memory"; readonly address: bigint }
	| { readonly kind: "register"; readonly register: number }
	/** A value without a place: the low bytes of `value` are the object. */
	| { readonly kind: "value"; readonly value: bigint }
	| { readonly kind: "bytes"; readonly bytes: Uint8Array }
	| { readonly kind: "pieces"; readonly pieces: readonly LocationPiece[] }
	/** "Optimized out", or why it cannot be told here; `reason` is a phrase without a full stop. */
	| { readonly kind: "unavailable"; readonly reason: string };

/** A part of an object, in order from its lowest bit. `bitOffset` is where it begins within the part's own place. */
export interface LocationPiece {
	readonly location: Location;
	readonly bitSize: number;
	readonly bitOffset: number;
}

export const optimizedOut: Location = { kind: "unavailable", reason: "optimized out" };
