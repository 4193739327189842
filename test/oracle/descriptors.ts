// The descriptor tables of the emulated processor: what a user's program on x86-64 Linux can name in the GDT, and the LDT that
// native-oracle.c makes.

import { Layout } from "./records.ts";

/** An 8-byte segment descriptor (SDM Vol. 3A §3.4.5). `access` is bits 55:40 of it: G, D/B, L, AVL, limit 19:16, P, DPL, S, type. */
function descriptor(base: number, limit: number, access: number): bigint {
	const low = ((base & 0xffff) << 16) | (limit & 0xffff);
	const high = (base & 0xff000000) | (access << 8) | ((base >>> 16) & 0xff) | (limit & 0xf0000);
	return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

const Kind = { data: 0x93, readOnlyData: 0x91, expandDown: 0x97, code: 0x9b } as const;
const USER = 0x60;
const GRANULAR = 0x8000;
const BIG = 0x4000;
const LONG = 0x2000;
const ABSENT = 0x80;

const flat = (access: number) => descriptor(0, 0xfffff, GRANULAR | access);

/** Entries 1 to 6, selectors 08H to 33H; those above are system descriptors that a user cannot reach, or empty. */
export const globalDescriptors: readonly bigint[] = [
	0n,
	flat(BIG | Kind.code),
	flat(LONG | Kind.code),
	flat(BIG | Kind.data),
	flat(BIG | USER | Kind.code),
	flat(BIG | USER | Kind.data),
	flat(LONG | USER | Kind.code),
	0n,
];

export const localDescriptors: readonly bigint[] = [
	descriptor(Layout.codeBase, 0xffff, USER | Kind.code),
	descriptor(Layout.dataBase, 0xffff, USER | Kind.data),
	descriptor(Layout.dataBase + 0x1000, 0x5fff, BIG | USER | Kind.data),
	descriptor(Layout.dataBase, 0x4fff, BIG | USER | Kind.expandDown),
	descriptor(Layout.dataBase, 0xffff, BIG | USER | Kind.readOnlyData),
	descriptor(Layout.dataBase, 0xffff, BIG | ((USER | Kind.data) ^ ABSENT)),
];

/** Selectors worth loading: null, the usual ones, the LDT's, and some that do not exist or are the kernel's. */
export const interestingSelectors: readonly number[] = [
	0, 3, 0x23, 0x2b, 0x33, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x28, 0x2a, 0x08, 0x10, 0x18, 0x1b, 0x0c, 0xfff8,
	0xffff,
];
