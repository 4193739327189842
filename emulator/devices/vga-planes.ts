// The four planes of a VGA's display memory at 0xa0000 and the data path between them and the processor: latches, write and read modes,
// chain-4 (mode 13h) and odd/even addressing. Reference: IBM Personal System/2 Hardware Interface Technical Reference, "Video
// Subsystem": "Graphics Controller", "Sequencer" and "Display Memory Organization".

const PLANE_BYTES = 0x1_0000;
const PLANES = [0, 1, 2, 3] as const;

/** Sequencer registers. */
const MAP_MASK = 2;
const MEMORY_MODE = 4;
const MEMORY_MODE_NOT_ODD_EVEN = 0x04;
const MEMORY_MODE_CHAIN_4 = 0x08;

/** Graphics controller registers. */
const SET_RESET = 0;
const ENABLE_SET_RESET = 1;
const COLOR_COMPARE = 2;
const DATA_ROTATE = 3;
const READ_MAP = 4;
const MODE = 5;
const MODE_READ_COMPARE = 0x08;
const COLOR_DO_NOT_CARE = 7;
const BIT_MASK = 8;

/** The registers that the data path obeys, as the device keeps them. */
export interface VgaPlaneControls {
	readonly sequencer: readonly number[];
	readonly graphics: readonly number[];
}

/** Saved part. The memory is there once it was written. */
export interface VgaPlanesState {
	memory: Uint8Array | undefined;
	/** What the last read brought from each plane. */
	latch: number[];
}

export function emptyPlanes(): VgaPlanesState {
	return { memory: undefined, latch: [0, 0, 0, 0] };
}

/** Which planes an access at an address of the window reaches, and where in them. */
function target(address: number, { sequencer }: VgaPlaneControls): { at: number; planes: number; plane?: number } {
	const memoryMode = sequencer[MEMORY_MODE]!;
	if (memoryMode & MEMORY_MODE_CHAIN_4) {
		const plane = address & 3;
		return { at: address & 0xfffc, planes: 1 << plane, plane };
	}
	if (memoryMode & MEMORY_MODE_NOT_ODD_EVEN) return { at: address & 0xffff, planes: 15 };
	return { at: address & 0xfffe, planes: address & 1 ? 0b1010 : 0b0101 };
}

/** Reads a byte through the latches. */
export function readPlanes(state: VgaPlanesState, controls: VgaPlaneControls, address: number): number {
	const { graphics } = controls;
	const { at, planes, plane } = target(address, controls);
	const { latch } = state;
	for (const one of PLANES) latch[one] = state.memory?.[one * PLANE_BYTES + at] ?? 0;
	if (plane !== undefined) return latch[plane]!;
	if (graphics[MODE]! & MODE_READ_COMPARE) {
		// A bit of the result is set where every plane that is asked for has the bit of the colour.
		let different = 0;
		for (const one of PLANES)
			if ((graphics[COLOR_DO_NOT_CARE]! >> one) & 1)
				different |= latch[one]! ^ ((graphics[COLOR_COMPARE]! >> one) & 1 ? 0xff : 0);
		return ~different & 0xff;
	}
	const selected = graphics[READ_MAP]! & 3;
	return latch[planes === 15 ? selected : (selected & 2) | (address & 1)]!;
}

/** Writes a byte as the write mode says. */
export function writePlanes(state: VgaPlanesState, controls: VgaPlaneControls, address: number, value: number): void {
	const { sequencer, graphics } = controls;
	const { at, planes } = target(address, controls);
	const { latch } = state;
	state.memory ??= new Uint8Array(4 * PLANE_BYTES);
	const mode = graphics[MODE]! & 3;
	const count = graphics[DATA_ROTATE]! & 7;
	const rotated = ((value >> count) | (value << (8 - count))) & 0xff;
	const mask = mode === 3 ? graphics[BIT_MASK]! & rotated : graphics[BIT_MASK]!;
	const filled = (bits: number, plane: number) => ((bits >> plane) & 1 ? 0xff : 0);
	for (const plane of PLANES) {
		if (!(((sequencer[MAP_MASK]! & planes) >> plane) & 1)) continue;
		const old = latch[plane]!;
		let data: number;
		if (mode === 1) data = old;
		else {
			if (mode === 2) data = filled(value, plane);
			else if (mode === 3 || (graphics[ENABLE_SET_RESET]! >> plane) & 1) data = filled(graphics[SET_RESET]!, plane);
			else data = rotated;
			const operation = (graphics[DATA_ROTATE]! >> 3) & 3;
			if (operation === 1) data &= old;
			else if (operation === 2) data |= old;
			else if (operation === 3) data ^= old;
			data = (data & mask) | (old & ~mask);
		}
		state.memory[plane * PLANE_BYTES + at] = data;
	}
}
