// A VGA as far as text modes need it: register file, text memory, cursor. Graphics modes are not drawn, which is said once; what a
// guest writes to the planes is kept (vga-planes.ts). Reference: IBM VGA Technical Reference (Personal System/2 Hardware Interface, "Video Subsystem").

import { codePage437 } from "./code-page-437.ts";
import type { AccessSize, Clock, Device, RegisterBlock, RegisterView } from "./device.ts";
import { hex } from "./register-format.ts";
import { emptyPlanes, readPlanes, type VgaPlanesState, writePlanes } from "./vga-planes.ts";

/** Offsets from port 0x3c0. */
const ATTRIBUTE_INDEX = 0x00;
const ATTRIBUTE_DATA = 0x01;
/** Miscellaneous output (write), input status 0 (read). */
const MISCELLANEOUS_WRITE = 0x02;
const SEQUENCER_INDEX = 0x04;
const SEQUENCER_DATA = 0x05;
const DAC_MASK = 0x06;
/** DAC read index (write), DAC state (read). */
const DAC_READ_INDEX = 0x07;
const DAC_WRITE_INDEX = 0x08;
const DAC_DATA = 0x09;
const FEATURE_READ = 0x0a;
const MISCELLANEOUS_READ = 0x0c;
const GRAPHICS_INDEX = 0x0e;
const GRAPHICS_DATA = 0x0f;
const CRTC_INDEX = 0x14;
const CRTC_DATA = 0x15;
/** Input status 1 (read), feature control (write). */
const STATUS_1 = 0x1a;

/** CRT controller registers. */
const HORIZONTAL_DISPLAY_END = 0x01;
const OVERFLOW = 0x07;
const MAXIMUM_SCAN_LINE = 0x09;
const CURSOR_START = 0x0a;
const CURSOR_END = 0x0b;
const START_ADDRESS_HIGH = 0x0c;
const START_ADDRESS_LOW = 0x0d;
const CURSOR_HIGH = 0x0e;
const CURSOR_LOW = 0x0f;
const VERTICAL_RETRACE_END = 0x11;
const VERTICAL_DISPLAY_END = 0x12;
const OFFSET = 0x13;
const CRTC_PROTECT = 0x80;
const CURSOR_OFF = 0x20;
/** Graphics controller register 6, bit 0: graphics mode; bits 3-2: where the display memory lies, 0 and 1 with 0xa0000 in it. */
const GRAPHICS_MISCELLANEOUS = 6;
const MEMORY_MAP_AWAY = 0x08;
/** The part of the window that shows the planes. */
const planesBytes = 0x1_0000;

/** Mode 3: 80 by 25 characters, 9 by 16 dots each, as the firmware sets it. */
const mode3 = {
	// biome-ignore format: eight to a line
	crtc: [
		0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f,
		0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
		0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3,
		0xff,
	],
	sequencer: [0x03, 0x00, 0x03, 0x00, 0x02],
	graphics: [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x0f, 0xff],
	// biome-ignore format: sixteen palette registers, then the five others
	attribute: [
		0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
		0x0c, 0x00, 0x0f, 0x08, 0x00,
	],
	miscellaneous: 0x67,
};

/** 70.086 Hz: 449 lines of 31.778 microseconds, 400 of them shown. */
const lineNanoseconds = 31_778;
const linesPerFrame = 449;
const shownLines = 400;
const retraceLines = [412, 414] as const;
const shownNanoseconds = 25_422;

/** The window 0xa0000-0xbffff, and the text memory in it at 0xb8000. */
const textOffset = 0x1_8000;
const textBytes = 0x8000;
/** A cell after power-on: a space, light grey on black. */
const BLANK = 0x0720;
/** Bounds of what a guest can ask to have shown. */
const mostColumns = 256;
const mostRows = 128;

interface VgaState {
	crtc: number[];
	sequencer: number[];
	graphics: number[];
	attribute: number[];
	miscellaneous: number;
	feature: number;
	indices: { crtc: number; sequencer: number; graphics: number; attribute: number };
	/** The next write to port 0x3c0 is data. */
	attributeData: boolean;
	/** 256 colours of three 6-bit parts. */
	palette: number[];
	dac: { mask: number; read: number; write: number; part: number; reading: boolean };
	/** Deviation: text has memory of its own, which in a VGA is that of planes 0 and 1. */
	memory: Uint8Array;
	planes: VgaPlanesState;
	/** Writes to the planes, whose picture is not drawn. */
	undrawn: number;
}

/** The 64 colours of an EGA monitor, then black. */
function standardPalette(): number[] {
	const palette = new Array<number>(768).fill(0);
	for (let color = 0; color < 64; color++)
		for (let part = 0; part < 3; part++)
			palette[3 * color + part] = ((color >> (2 - part)) & 1) * 42 + ((color >> (5 - part)) & 1) * 21;
	return palette;
}

function powerOn(): VgaState {
	const memory = new Uint8Array(textBytes);
	new Uint16Array(memory.buffer).fill(BLANK);
	return {
		...structuredClone(mode3),
		feature: 0,
		indices: { crtc: 0, sequencer: 0, graphics: 0, attribute: 0x20 },
		attributeData: false,
		palette: standardPalette(),
		dac: { mask: 0xff, read: 0, write: 0, part: 0, reading: false },
		memory,
		planes: emptyPlanes(),
		undrawn: 0,
	};
}

/** The screen as a display shows it. */
export interface TextScreen {
	readonly columns: number;
	readonly rows: number;
	/** Character codes and attributes, row by row. */
	readonly characters: Uint8Array;
	readonly attributes: Uint8Array;
	/** Undefined when it is off or outside the screen. */
	readonly cursor: { readonly row: number; readonly column: number } | undefined;
	/** The 16 colours of the attributes, each 0xrrggbb. */
	readonly colors: readonly number[];
}

/** Register blocks: `ports` (32 ports at 0x3c0) and `window` (128 KiB at 0xa0000). Deviation: the monochrome ports are not decoded. */
export class VgaText implements Device {
	readonly name = "VGA";
	readonly ports: RegisterBlock = {
		widestAccess: 1,
		read: (offset) => this.readPort(offset),
		write: (offset, _size, value) => this.writePort(offset, value & 0xff),
	};
	readonly window: RegisterBlock = {
		read: (offset, size) => this.readMemory(offset, size),
		write: (offset, size, value) => this.writeMemory(offset, size, value),
	};
	private state = powerOn();

	/** @param onUndrawn called once, at the first write to the planes, with a sentence for the log. */
	constructor(
		private readonly clock: Clock,
		private readonly onUndrawn: (sentence: string) => void = () => {},
	) {}

	/** Whether the guest has set a graphics mode, which is not drawn. */
	get graphicsMode(): boolean {
		return (this.state.graphics[GRAPHICS_MISCELLANEOUS]! & 1) !== 0;
	}

	/** The screen's cells; at most 256 by 128 of them. */
	screen(): TextScreen {
		const { crtc, memory } = this.state;
		const columns = Math.min(crtc[HORIZONTAL_DISPLAY_END]! + 1, mostColumns);
		const overflow = crtc[OVERFLOW]!;
		const lines = 1 + (crtc[VERTICAL_DISPLAY_END]! | ((overflow & 0x02) << 7) | ((overflow & 0x40) << 3));
		const cellHeight = (crtc[MAXIMUM_SCAN_LINE]! & 31) + 1;
		const rows = Math.min(Math.max(Math.floor(lines / cellHeight), 1), mostRows);
		const start = (crtc[START_ADDRESS_HIGH]! << 8) | crtc[START_ADDRESS_LOW]!;
		const pitch = crtc[OFFSET]! * 2;
		const characters = new Uint8Array(columns * rows);
		const attributes = new Uint8Array(columns * rows);
		for (let row = 0; row < rows; row++)
			for (let column = 0; column < columns; column++) {
				const at = (2 * (start + row * pitch + column)) & (textBytes - 1);
				characters[row * columns + column] = memory[at]!;
				attributes[row * columns + column] = memory[at + 1]!;
			}
		return {
			columns,
			rows,
			characters,
			attributes,
			cursor: this.cursor(start, pitch, columns, rows),
			colors: this.colors(),
		};
	}

	/** The screen's rows as text, without trailing blanks. */
	text(): string[] {
		const { columns, rows, characters } = this.screen();
		return Array.from({ length: rows }, (_, row) =>
			Array.from(characters.subarray(row * columns, (row + 1) * columns), (code) => codePage437[code])
				.join("")
				.trimEnd(),
		);
	}

	reset(): void {
		this.state = powerOn();
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as VgaState);
	}

	registers(): RegisterView[] {
		const { state } = this;
		const file = (name: string, values: readonly number[]) =>
			values.map((value, i) => ({ name: `${name}${hex(i, 8).slice(2)}`, width: 8, value }));
		const { columns, rows } = this.screen();
		const mode = this.graphicsMode ? "graphics mode, not drawn" : `text, ${columns} by ${rows}`;
		return [
			{ name: "miscellaneous output", width: 8, value: state.miscellaneous, meaning: mode },
			{ name: "undrawn writes", width: 32, value: state.undrawn, meaning: "to the graphics planes" },
			...file("CRTC ", state.crtc),
			...file("sequencer ", state.sequencer),
			...file("graphics ", state.graphics),
			...file("attribute ", state.attribute),
		];
	}

	private cursor(start: number, pitch: number, columns: number, rows: number): TextScreen["cursor"] {
		const { crtc } = this.state;
		const first = crtc[CURSOR_START]!;
		if (first & CURSOR_OFF || (first & 31) > (crtc[CURSOR_END]! & 31) || pitch === 0) return undefined;
		const position = ((crtc[CURSOR_HIGH]! << 8) | crtc[CURSOR_LOW]!) - start;
		const row = Math.floor(position / pitch);
		const column = position % pitch;
		return position >= 0 && row < rows && column < columns ? { row, column } : undefined;
	}

	private colors(): number[] {
		const { attribute, palette } = this.state;
		return Array.from({ length: 16 }, (_, color) => {
			const entry = 3 * (attribute[color]! & 0x3f);
			// 6 bits of a part stretched to 8.
			const part = (i: number) => (palette[entry + i]! << 2) | (palette[entry + i]! >> 4);
			return (part(0) << 16) | (part(1) << 8) | part(2);
		});
	}

	private readPort(offset: number): number {
		const { state } = this;
		const { indices, dac } = state;
		switch (offset) {
			case ATTRIBUTE_INDEX:
				return indices.attribute;
			case ATTRIBUTE_DATA:
				return state.attribute[indices.attribute & 31] ?? 0;
			case SEQUENCER_INDEX:
				return indices.sequencer;
			case SEQUENCER_DATA:
				return state.sequencer[indices.sequencer] ?? 0;
			case DAC_MASK:
				return dac.mask;
			case DAC_READ_INDEX:
				return dac.reading ? 3 : 0;
			case DAC_WRITE_INDEX:
				return dac.write;
			case DAC_DATA: {
				const value = state.palette[3 * dac.read + dac.part]!;
				if (++dac.part === 3) {
					dac.part = 0;
					dac.read = (dac.read + 1) & 0xff;
				}
				return value;
			}
			case FEATURE_READ:
				return state.feature;
			case MISCELLANEOUS_READ:
				return state.miscellaneous;
			case GRAPHICS_INDEX:
				return indices.graphics;
			case GRAPHICS_DATA:
				return state.graphics[indices.graphics] ?? 0;
			case CRTC_INDEX:
				return indices.crtc;
			case CRTC_DATA:
				return state.crtc[indices.crtc] ?? 0;
			case STATUS_1:
				state.attributeData = false;
				return this.status1();
			case MISCELLANEOUS_WRITE:
				return 0;
			default:
				return 0xff;
		}
	}

	private writePort(offset: number, value: number): void {
		const { state } = this;
		const { indices, dac } = state;
		const put = (file: number[], index: number) => {
			if (index < file.length) file[index] = value;
		};
		switch (offset) {
			case ATTRIBUTE_INDEX:
				if (state.attributeData) put(state.attribute, indices.attribute & 31);
				else indices.attribute = value & 0x3f;
				state.attributeData = !state.attributeData;
				break;
			case MISCELLANEOUS_WRITE:
				state.miscellaneous = value;
				break;
			case SEQUENCER_INDEX:
				indices.sequencer = value & 7;
				break;
			case SEQUENCER_DATA:
				put(state.sequencer, indices.sequencer);
				break;
			case DAC_MASK:
				dac.mask = value;
				break;
			case DAC_READ_INDEX:
				Object.assign(dac, { read: value, part: 0, reading: true });
				break;
			case DAC_WRITE_INDEX:
				Object.assign(dac, { write: value, part: 0, reading: false });
				break;
			case DAC_DATA:
				state.palette[3 * dac.write + dac.part] = value & 0x3f;
				if (++dac.part === 3) {
					dac.part = 0;
					dac.write = (dac.write + 1) & 0xff;
				}
				break;
			case GRAPHICS_INDEX:
				indices.graphics = value & 15;
				break;
			case GRAPHICS_DATA:
				put(state.graphics, indices.graphics);
				break;
			case CRTC_INDEX:
				indices.crtc = value & 0x3f;
				break;
			case CRTC_DATA:
				this.writeCrtc(indices.crtc, value);
				break;
			case STATUS_1:
				state.feature = value & 3;
				break;
			// Other ports of the range are read only or not there.
		}
	}

	private writeCrtc(index: number, value: number): void {
		const { crtc } = this.state;
		if (index >= crtc.length) return;
		if (index <= OVERFLOW && crtc[VERTICAL_RETRACE_END]! & CRTC_PROTECT) {
			// Registers 0-7 are protected except for the line compare bit in the overflow register.
			if (index === OVERFLOW) crtc[index] = (crtc[index]! & ~0x10) | (value & 0x10);
			return;
		}
		crtc[index] = value;
	}

	/** Bit 0: no picture is drawn now; bit 3: vertical retrace. */
	private status1(): number {
		const inFrame = this.clock.now() % (lineNanoseconds * linesPerFrame);
		const line = Math.floor(inFrame / lineNanoseconds);
		const blank = line >= shownLines || inFrame % lineNanoseconds >= shownNanoseconds;
		const retrace = line >= retraceLines[0] && line < retraceLines[1];
		return (blank ? 0x01 : 0) | (retrace ? 0x08 : 0);
	}

	private readMemory(offset: number, size: AccessSize): number {
		let value = 0;
		for (let i = 0; i < size; i++) value += this.readByte(offset + i) * 2 ** (8 * i);
		return value;
	}

	private writeMemory(offset: number, size: AccessSize, value: number): void {
		for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
	}

	private showsPlanes(offset: number): boolean {
		return offset < planesBytes && !(this.state.graphics[GRAPHICS_MISCELLANEOUS]! & MEMORY_MAP_AWAY);
	}

	private readByte(offset: number): number {
		const { state } = this;
		if (offset >= textOffset) return state.memory[offset - textOffset]!;
		return this.showsPlanes(offset) ? readPlanes(state.planes, state, offset) : 0xff;
	}

	private writeByte(offset: number, value: number): void {
		const { state } = this;
		if (offset >= textOffset) state.memory[offset - textOffset] = value;
		else if (this.showsPlanes(offset)) {
			writePlanes(state.planes, state, offset, value);
			if (state.undrawn++ === 0)
				this.onUndrawn(
					`VGA: the guest draws in graphics memory at ${hex(0xa_0000 + offset, 20)}; only text modes are shown, so boot it with a text console`,
				);
		}
	}
}
