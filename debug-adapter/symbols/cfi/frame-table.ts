// Reference: DWARF 5 section 6.4.1 "Structure of Call Frame Information"; Linux Standard Base Core, section 10.6
// "Exception Frames" for .eh_frame and its pointer encodings.
import { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";

/** A common information entry: what the frames that name it share. */
export interface CommonInformation {
	readonly codeAlignment: number;
	readonly dataAlignment: number;
	readonly returnAddressColumn: number;
	/** 'S': the frame was entered by a signal or an interrupt, so its pc is not after a call. */
	readonly isSignalFrame: boolean;
	readonly addressSize: number;
	readonly initialInstructions: Uint8Array;
	readonly pointerEncoding: number;
	readonly hasAugmentationData: boolean;
	readonly version: number;
}

/** A frame description entry: the instructions for one stretch of code. Addresses are as linked. */
export interface FrameDescription {
	readonly start: bigint;
	readonly end: bigint;
	readonly common: CommonInformation;
	readonly instructions: Uint8Array;
}

/** Where a frame section lies, which .eh_frame's relative pointers need. */
export interface FrameSection {
	readonly name: ".debug_frame" | ".eh_frame";
	readonly bytes: Uint8Array;
	readonly address: bigint;
}

const DW_EH_PE_omit = 0xff;
const encodingSizes: Record<number, number> = { 2: 2, 3: 4, 4: 8, 10: 2, 11: 4, 12: 8 };

/** The frame descriptions of one section, found by address. The section is scanned when first asked. */
export class FrameTable {
	readonly #section: FrameSection;
	readonly #reader: ByteReader;
	readonly #addressSize: 4 | 8;
	readonly #isCode: (address: bigint) => boolean;
	readonly #commons = new Map<number, CommonInformation>();
	#index: { starts: BigUint64Array; ends: BigUint64Array; offsets: Float64Array } | undefined;

	constructor(section: FrameSection, fileName: string, addressSize: 4 | 8, isCode: (address: bigint) => boolean) {
		this.#section = section;
		this.#reader = new ByteReader(section.bytes, `${fileName} section ${section.name}`);
		this.#addressSize = addressSize;
		this.#isCode = isCode;
	}

	/** The description whose code holds the address, if any. */
	at(address: bigint): FrameDescription | undefined {
		this.#index ??= this.#scan();
		const { starts, ends, offsets } = this.#index;
		let low = 0;
		let high = starts.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (starts[middle]! <= address) low = middle + 1;
			else high = middle;
		}
		if (low === 0 || address >= ends[low - 1]!) return undefined;
		const entry = this.#entry(offsets[low - 1]!);
		return entry.description;
	}

	#scan(): { starts: BigUint64Array; ends: BigUint64Array; offsets: Float64Array } {
		const found: { start: bigint; end: bigint; offset: number }[] = [];
		let at = 0;
		while (at + 4 <= this.#reader.end) {
			const { description, next } = this.#entry(at);
			if (description && description.end > description.start && this.#isCode(description.start)) {
				found.push({ start: description.start, end: description.end, offset: at });
			}
			at = next;
		}
		found.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
		return {
			starts: BigUint64Array.from(found, (entry) => entry.start),
			ends: BigUint64Array.from(found, (entry) => entry.end),
			offsets: Float64Array.from(found, (entry) => entry.offset),
		};
	}

	/** Reads the entry at an offset; a common information entry or terminator has no description. */
	#entry(offset: number): { description: FrameDescription | undefined; next: number } {
		const reader = this.#reader;
		const isEh = this.#section.name === ".eh_frame";
		reader.offset = offset;
		reader.end = reader.bytes.length;
		let length = reader.u32();
		let offsetSize = 4;
		if (length === 0xffffffff) {
			length = reader.u64Number();
			offsetSize = 8;
		}
		if (length === 0) return { description: undefined, next: reader.offset };
		reader.need(length);
		const next = reader.offset + length;
		const idAt = reader.offset;
		// In .eh_frame the identifier is always 4 bytes in practice and counts back from itself.
		const id = isEh ? reader.u32() : offsetSize === 8 ? Number(BigInt.asIntN(64, reader.u64())) : reader.u32();
		const isCommon = isEh ? id === 0 : id === (offsetSize === 8 ? -1 : 0xffffffff);
		if (isCommon) return { description: undefined, next };
		const common = this.#common(isEh ? idAt - id : id);
		reader.offset = idAt + (isEh ? 4 : offsetSize);
		reader.end = next;
		let start: bigint;
		let size: bigint;
		if (isEh) {
			start = this.#pointer(common.pointerEncoding, common.addressSize);
			size = this.#pointer(common.pointerEncoding & 0x0f, common.addressSize);
			if (common.hasAugmentationData) reader.skip(reader.uleb());
		} else {
			start = reader.unsigned(common.addressSize);
			size = reader.unsigned(common.addressSize);
		}
		const instructions = reader.take(next - reader.offset);
		reader.end = reader.bytes.length;
		return { description: { start, end: BigInt.asUintN(64, start + size), common, instructions }, next };
	}

	#common(offset: number): CommonInformation {
		let common = this.#commons.get(offset);
		if (!common) {
			common = this.#readCommon(offset);
			this.#commons.set(offset, common);
		}
		return common;
	}

	#readCommon(offset: number): CommonInformation {
		const reader = this.#reader;
		const isEh = this.#section.name === ".eh_frame";
		if (!(offset >= 0)) throw this.#malformed("has a frame without common information");
		reader.offset = offset;
		reader.end = reader.bytes.length;
		let length = reader.u32();
		const offsetSize = length === 0xffffffff ? 8 : 4;
		if (offsetSize === 8) length = reader.u64Number();
		reader.need(length);
		const end = reader.offset + length;
		const id = isEh || offsetSize === 4 ? reader.u32() : Number(BigInt.asIntN(64, reader.u64()));
		if (id !== (isEh ? 0 : offsetSize === 8 ? -1 : 0xffffffff)) {
			throw this.#malformed(`names common information at 0x${offset.toString(16)}, where there is none`);
		}
		const version = reader.u8();
		if (version !== 1 && version !== 3 && version !== 4) {
			throw new SymbolError("unsupported", `${reader.what} has call frame information of version ${version}.`);
		}
		const augmentation = reader.cstring();
		let addressSize: number = this.#addressSize;
		if (version === 4) {
			addressSize = reader.u8();
			reader.u8();
			if (addressSize !== 4 && addressSize !== 8) throw this.#malformed(`has addresses of ${addressSize} bytes`);
		}
		const codeAlignment = reader.uleb();
		const dataAlignment = reader.sleb();
		const returnAddressColumn = version === 1 ? reader.u8() : reader.uleb();
		let pointerEncoding = 0;
		let isSignalFrame = false;
		const hasAugmentationData = augmentation.startsWith("z");
		if (hasAugmentationData) {
			const dataEnd = reader.uleb() + reader.offset;
			for (const letter of augmentation.slice(1)) {
				if (letter === "R") pointerEncoding = reader.u8();
				else if (letter === "S") isSignalFrame = true;
				else if (letter === "L") reader.u8();
				else if (letter === "P") this.#pointer(reader.u8(), addressSize);
				else break;
			}
			reader.offset = dataEnd;
		} else if (augmentation === "S") isSignalFrame = true;
		else if (augmentation !== "") {
			throw new SymbolError("unsupported", `${reader.what} has the unknown augmentation "${augmentation}".`);
		}
		reader.need(end - reader.offset);
		return {
			codeAlignment,
			dataAlignment,
			returnAddressColumn,
			isSignalFrame,
			addressSize,
			initialInstructions: reader.take(end - reader.offset),
			pointerEncoding,
			hasAugmentationData,
			version,
		};
	}

	/** A pointer as .eh_frame encodes it. */
	#pointer(encoding: number, addressSize: number): bigint {
		const reader = this.#reader;
		if (encoding === DW_EH_PE_omit) return 0n;
		const at = this.#section.address + BigInt(reader.offset);
		const format = encoding & 0x0f;
		let value: bigint;
		if (format === 1) value = reader.ulebBig();
		else if (format === 9) value = reader.slebBig();
		else {
			const size = format === 0 || format === 8 ? addressSize : encodingSizes[format];
			if (size === undefined) throw this.#malformed(`encodes a pointer as 0x${encoding.toString(16)}`);
			value = reader.unsigned(size);
			if (format & 8) value = BigInt.asIntN(size * 8, value);
		}
		const application = encoding & 0x70;
		if (application === 0x10) value += at;
		else if (application !== 0) throw this.#malformed(`encodes a pointer as 0x${encoding.toString(16)}`);
		return BigInt.asUintN(addressSize * 8, value);
	}

	#malformed(what: string): SymbolError {
		return new SymbolError("malformed", `${this.#reader.what} ${what}.`);
	}
}
