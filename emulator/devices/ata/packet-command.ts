// Command packets of a CD-ROM drive: what each answers. References: MMC-3 (T10/1363-D) clause 5 "Commands for multimedia
// logical units" and clause 6 "Mode parameters"; SPC-2 (T10/1236-D) clause 7 for INQUIRY and REQUEST SENSE.

import { DISC_SECTOR_BYTES, type DiscImage } from "./disc-image.ts";

export const PACKET_BYTES = 12;

export const Packet = {
	testUnitReady: 0x00,
	requestSense: 0x03,
	inquiry: 0x12,
	startStop: 0x1b,
	preventRemoval: 0x1e,
	readCapacity: 0x25,
	read10: 0x28,
	seek: 0x2b,
	readToc: 0x43,
	getConfiguration: 0x46,
	getEventStatus: 0x4a,
	readDiscInformation: 0x51,
	modeSense10: 0x5a,
	read12: 0xa8,
	mechanismStatus: 0xbd,
	readCd: 0xbe,
} as const;

export const PACKET_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
	Object.entries(Packet).map(([name, code]) => [code, name.replace(/([A-Z]|\d+)/g, " $1").toUpperCase()]),
);

/** Sense key, additional sense code (MMC-3 annex "Sense codes"). */
export interface Sense {
	readonly key: number;
	readonly code: number;
}

export const SENSE: Readonly<Record<"none" | "reset" | "badCommand" | "badAddress" | "badField", Sense>> = {
	none: { key: 0, code: 0 },
	badCommand: { key: 5, code: 0x20 },
	badAddress: { key: 5, code: 0x21 },
	badField: { key: 5, code: 0x24 },
	reset: { key: 6, code: 0x29 },
};

/** What a packet leads to: bytes for the host (none for commands without data), or a sense. */
export type PacketResult = { readonly bytes: Uint8Array } | { readonly sense: Sense };

const CURRENT_PROFILE_CD_ROM = 8;
const LEAD_OUT = 0xaa;
/** Sectors of one command: what drives take, and what bounds the data that waits. */
const MOST_SECTORS = 0xffff;
/** Minutes, seconds and frames of 1/75 s begin 150 frames before sector 0. */
const LEAD_IN_FRAMES = 150;

const nothing: PacketResult = { bytes: new Uint8Array(0) };

/** Does a packet, but for REQUEST SENSE, which the drive knows. */
export function executePacket(packet: Uint8Array, disc: DiscImage): PacketResult {
	const view = new DataView(packet.buffer, packet.byteOffset, PACKET_BYTES);
	const short = (offset: number) => view.getUint16(offset);
	const long = (offset: number) => view.getUint32(offset);
	switch (packet[0]) {
		case Packet.testUnitReady:
		case Packet.startStop:
		case Packet.preventRemoval:
			return nothing;
		case Packet.seek:
			return long(2) < disc.sectors ? nothing : { sense: SENSE.badAddress };
		case Packet.inquiry:
			return cut(inquiry(), short(3));
		case Packet.readCapacity:
			return { bytes: capacity(disc) };
		case Packet.read10:
			return sectors(disc, long(2), short(7));
		case Packet.read12:
			return sectors(disc, long(2), long(6));
		case Packet.readCd:
			return readCd(packet, disc, long(2), ((packet[6]! << 16) | short(7)) >>> 0);
		case Packet.readToc:
			return readToc(packet, disc, short(7));
		case Packet.getConfiguration:
			return cut(configuration(), short(7));
		case Packet.getEventStatus:
			return eventStatus(packet, short(7));
		case Packet.readDiscInformation:
			return cut(discInformation(), short(7));
		case Packet.modeSense10:
			return modeSense(packet[2]!, short(7));
		case Packet.mechanismStatus:
			return cut(new Uint8Array(8), short(8));
		default:
			return { sense: SENSE.badCommand };
	}
}

/** Fixed-format sense data (SPC-2 §7.20). */
export function senseData({ key, code }: Sense, length: number): Uint8Array {
	const bytes = new Uint8Array(18);
	bytes[0] = 0x70;
	bytes[2] = key;
	bytes[7] = 10;
	bytes[12] = code;
	return bytes.subarray(0, Math.min(length, bytes.length));
}

function cut(bytes: Uint8Array, allocation: number): PacketResult {
	return { bytes: bytes.subarray(0, Math.min(allocation, bytes.length)) };
}

function text(bytes: Uint8Array, offset: number, length: number, value: string): void {
	for (let i = 0; i < length; i++) bytes[offset + i] = i < value.length ? value.charCodeAt(i) : 0x20;
}

function inquiry(): Uint8Array {
	const bytes = new Uint8Array(36);
	// A CD-ROM device, removable medium, ATAPI response format.
	bytes.set([0x05, 0x80, 0x00, 0x21, 31]);
	text(bytes, 8, 8, "HYPERSCP");
	text(bytes, 16, 16, "CD-ROM");
	text(bytes, 32, 4, "1.0");
	return bytes;
}

function capacity(disc: DiscImage): Uint8Array {
	const bytes = new Uint8Array(8);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, disc.sectors - 1);
	view.setUint32(4, DISC_SECTOR_BYTES);
	return bytes;
}

function sectors(disc: DiscImage, first: number, count: number): PacketResult {
	if (first + count > disc.sectors) return { sense: SENSE.badAddress };
	if (count > MOST_SECTORS) return { sense: SENSE.badField };
	return { bytes: disc.read(first, count) };
}

/** Only the user data of a sector can be had: no headers, no subchannels. */
function readCd(packet: Uint8Array, disc: DiscImage, first: number, count: number): PacketResult {
	const fields = packet[9]! & 0xf8;
	if (packet[10]! & 7 || (fields !== 0x10 && fields !== 0)) return { sense: SENSE.badField };
	return sectors(disc, first, fields === 0 ? 0 : count);
}

/** A position as minutes, seconds, frames or as a sector number. */
function position(sector: number, minutes: boolean): number[] {
	if (!minutes) return [(sector >>> 24) & 255, (sector >>> 16) & 255, (sector >>> 8) & 255, sector & 255];
	const frame = sector + LEAD_IN_FRAMES;
	return [0, Math.floor(frame / 4500) & 255, Math.floor(frame / 75) % 60, frame % 75];
}

/** One data track from sector 0 on. */
function readToc(packet: Uint8Array, disc: DiscImage, allocation: number): PacketResult {
	const minutes = (packet[1]! & 2) !== 0;
	// The format stands in byte 2, or, in old drives' packets, in the top bits of byte 9.
	const format = packet[2]! & 15 || packet[9]! >> 6;
	const first = packet[6]!;
	const track = [0, 0x14, 1, 0, ...position(0, minutes)];
	const leadOut = [0, 0x14, LEAD_OUT, 0, ...position(disc.sectors, minutes)];
	const withLength = (body: number[]) => Uint8Array.from([0, body.length, ...body]);
	switch (format) {
		case 0:
			if (first > 1 && first !== LEAD_OUT) return { sense: SENSE.badField };
			return cut(withLength([1, 1, ...(first <= 1 ? track : []), ...leadOut]), allocation);
		case 1:
			return cut(withLength([1, 1, ...track]), allocation);
		case 2: {
			const point = (number: number, place: number[]) => [1, 0x14, 0, number, 0, 0, 0, ...place];
			const body = [
				1,
				1,
				...point(0xa0, [0, 1, 0, 0]),
				...point(0xa1, [0, 1, 0, 0]),
				...point(0xa2, position(disc.sectors, true)),
				...point(1, position(0, true)),
			];
			return cut(withLength(body), allocation);
		}
		default:
			return { sense: SENSE.badField };
	}
}

/** One feature, the profile list, with one profile. */
function configuration(): Uint8Array {
	return Uint8Array.from([0, 0, 0, 12, 0, 0, 0, CURRENT_PROFILE_CD_ROM, 0, 0, 3, 4, 0, CURRENT_PROFILE_CD_ROM, 1, 0]);
}

/** Polled only; the class "media": a disc is in the drive, nothing has changed. */
function eventStatus(packet: Uint8Array, allocation: number): PacketResult {
	if (!(packet[1]! & 1)) return { sense: SENSE.badField };
	const hasMedia = packet[4]! & 0x10;
	return cut(Uint8Array.from(hasMedia ? [0, 6, 4, 0x10, 0, 2, 0, 0] : [0, 2, 0x80, 0x10]), allocation);
}

/** A finished disc of one session. */
function discInformation(): Uint8Array {
	const bytes = new Uint8Array(34);
	bytes.set([0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
	bytes.fill(0xff, 16, 24);
	return bytes;
}

const MODE_PAGES: Readonly<Record<number, readonly number[]>> = {
	// Read error recovery.
	1: [0x01, 6, 0, 5, 0, 0, 0, 0],
	// Capabilities: reads CD-R; mode 2; tray; 706 kB/s and 64 kB of buffer.
	42: [0x2a, 18, 0x01, 0, 0x70, 0, 0x29, 0, 0x02, 0xc2, 0, 0, 0, 0x40, 0x02, 0xc2, 0, 0, 0, 0],
};
const ALL_PAGES = 0x3f;
const SAVED_VALUES = 3;
const CHANGEABLE_VALUES = 1;

function modeSense(selection: number, allocation: number): PacketResult {
	const page = selection & 0x3f;
	const control = selection >> 6;
	if (control === SAVED_VALUES || (page !== ALL_PAGES && !MODE_PAGES[page])) return { sense: SENSE.badField };
	const pages = Object.values(page === ALL_PAGES ? MODE_PAGES : { [page]: MODE_PAGES[page]! });
	// Nothing can be changed.
	const body = pages.flatMap((one) =>
		control === CHANGEABLE_VALUES ? [one[0]!, one[1]!, ...one.slice(2).fill(0)] : one,
	);
	return cut(Uint8Array.from([0, body.length + 6, 1, 0, 0, 0, 0, 0, ...body]), allocation);
}
