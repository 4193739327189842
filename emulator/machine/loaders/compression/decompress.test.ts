import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { compressionOf } from "./decompress.ts";
import { CompressionError } from "./errors.ts";

const SIZE = 3000;

/** What the fixtures hold: text in which CALL and JMP lie close to each other, for the x86 filter. */
function sample(): Uint8Array {
	const bytes = new Uint8Array(SIZE);
	let state = 1;
	for (let i = 0; i < SIZE; i++) {
		state = (Math.imul(state, 1103515245) + 12345) >>> 0;
		bytes[i] = i % 31 === 0 ? state >>> 24 : 0x41 + (i % 13);
	}
	const view = new DataView(bytes.buffer);
	for (let i = 40; i + 5 < SIZE; i += 61) {
		bytes[i] = i & 1 ? 0xe8 : 0xe9;
		view.setInt32(i + 1, 2000 - i, true);
	}
	return bytes;
}

/** The sample as xz --x86 --check=crc32, xz --block-size=1500, xz --format=lzma, zstd -19 and lz4 -l have compressed it. */
const FIXTURES: readonly (readonly [string, string])[] = [
	[
		"xz with the x86 filter",
		"/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4Au3AXhdACCQhHa6inXPtA2y6J8gjrRmyu5fMtgVDs8uOQOUZGxY1ov+boYDl2AUArl4M8IbDme1D/tYSn0H2hItB1/QNehm/KUXiN04VX2ZsltMNmI4GiJNV1pFvsteMbVRN2kMYJMdlFBVhTYaDeFmByvvC2YRFGle7JkX4v47v4bWJuPEPEc3B6hdDvapXYyFWgVRW2obWSPMYtmUysKKZMi3ZVomjYnbgXda3XueBaPJ6H40jP2y+Md7H9QLh4QjG6pIuCqxhAz9N627B73/xFa2v/QYHiuRoMZdwCz7MRkI5kjtYXkjI43tQttgwOVgvKtRpkDxoD+jFq8d3L838Ow6yUZlNTXa/P2LdVArmX91SOTeoDcsy3kTTsjp9nA50dyzWpKsX0KwMjx5I1dpqRojlBraO/+Msx0kfMs5+g2ljZYfmoUSd0biY6XQYDMiJQDrO5GzBImOCjRrmu36meCZxaMrFJje04xNRBH3q4ajWAcsmZyACVwlQVQAZADvswABkAO4FwAAzms8WD4wDYsCAAAAAAFZWg==",
	],
	[
		"xz in two blocks",
		"/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AXbAQtdACCQhHa6inXPtA2y6J8gjrRmyu5MNcoVDs8uOQOUZGxY1kJ8G32yFxJ8toFp7WLflMVqii2THzZlr3H28sMqOWBgbX4cjDyu09x2kiZHG9siiUMox6AmO/E+W63htEF8G32aovm1+BJuFafYNOG862V6i/DwK7LTx3ml2LDsiZPK6vKOCxVLcbPQVHCLrRksrMevvtJhcDM2zwa75g5HQnTBIZbQmo1Yt6uWGEMlBWHNngk1dw72CylDFrg6Qimi71QjgTDILEPB/UAqTjaqhXq74jhYJeyMMy/w4VA1rowVWK69T1t2xO/o4zLCCo7bcZr8pjRpUA6JaH/SJtLOWUNnO78Yv+CtbE++oAAACzh6RXe0w20CACEBFgAAAHQv5aPgBdsBFl0AIxHFLccRkffGmnsZfPvjc8xsLVisrooqs0t5XtpsOK9ctvj/oloNSK7hdFrc105b1PvBvvlsVwR93mR52mmh+QOzTKy4rBlgTtr+8Rq6mJQ4lgs+mjvma/Fvn4vglp4XwxwCixogRulqq5Lx63HxTXSTEmJOtHzBamHEMKn5BHssHlkD/VFWozAh+7DtKQwCYGws+6SOYsHcY1rq9MJ1a5X5L/e7uEGyQT74wfvhm+I0ZkxvZw5HHi6byf8YoJDXOJXTQovPIzY8/zzrX+UZ09PO7SUPNwsXlPie3xn/CAxVWE3nu/EPWbXPxlt7ZIALdY1IxuMQB7ivxKvilDPmtRJZeO4dkYlYcJfaJCKSvVHbmgU2AFUAAAB8ZwgrgGKvHwACpwLcC7IC3AsAAPd5a1gUFzswAwAAAAAEWVo=",
	],
	[
		"lzma",
		"XQAAgAD//////////wAgkIR2uop1z7QNsuifII60ZsruTDXKFQ7PLjkDlGRsWNZCfBt9shcSfLaBae1i35TFaootkx82Za9x9vLDKjlgYG1+HIw8rtPcdpImRxvbIolDKMegJjvxPlut4bRBfBt9mqL5tfgSbhWn2DThvOtleovw8Cuy08d5pdiw7ImTyuryjgsVS3Gz0FRwi60ZLKzHr77SYXAzNs8Gu+YOR0J0wSGW0JqNWLerlhhDJQVhzZ4JNXcO9gspQxa4OkIpou9UI4EwyCxDwf1AKk42qoV6u+I4WCXsjDMv8OFQNa6MFViuvU9bdsTv6OMywgqO23Ga/KY0aVAOiWh/0ibSzllDZzu/GL/gr2veq+IBtBn8EDAPBQ1naYmPyK+EH4GJhrMR8CJQuUdLFIGsH9BZ5XkCjF7VWqfPYatMjPDwDaorZC34KCafNHSM0PeZVAT9342+0No8VU+n/WXt9EG9EVIx+QaBFhJZ7J3cErKPjrFDaDY4/Q3/fDmPUmTtXGnhsH/8H6mNnVer0HhqNAPlYSCv/vzGraK4C6cNfP3686n2JN7q62AVWAzX+hKdG8k0vo3d+Q5B+TRzAwH4KGbwhoGPCtDmvs42ypgLbLimJCiQMb7PEpVpa6tvKR3B1huj/TlRPKoEO0+s+IrKNcZeXGSUpGSZsfvf/b5cAA==",
	],
	[
		"zstd",
		"KLUv/WS4Ct0QACYUSzwQtYYDi00fOiX4OCf1B6tDu+3iW9kBu8PPoIJ93cLCopxo0rhSWMX57//1vgFGewdAcRxOb+lve++9dwo7ADcANwDs8aM4rVP8USZmAVjrn0b0yxVU+tMc/4Z/6uuW9k+LmEbwnxh6uPpPNz5Y/1NNGytYitkqi8HUiZerFbu/HOo25TdZDOz9Zq1P3W/CMAq4yn7zp2E8Iux/DrBRxn9eNO4/WfjkP4Wd86Mp/vhRWDf8aBuobjf+q5zQ89+kdxr/f0yU+X9sndBPQrBt9pMkzeP9ZI+LxJ8k6qBB6y8XGFf7S5D2lfwlDXcEvIeOiRW4WiPssFJt+ubo3qORbwqdZGOOmQ65l4nI7AuhA2icU720GgR0b5OPS0qgVSgWLJRYaYyle+8OI6n8D4DBqLDSiEzSHNBekqQxEQ0hhhFCCCGEEEJkSGSkdWCHOblXTiuSllfI06nN5ZaCFgWBGpp+93z2Cnipo/8sDSPftUyv8hoNQf0C3suo4RoH7UH9BKi8+CGH9q4EAJaiBdnqPdKfeILXu8wejrLqfwPRitQjHopd+TJivcp/R0NZVB9h08bCQrIgJh7oIQeOdkgYDjp5Eg3ZDiCB1sVyWIhnjNKR2VCCnWYLRl3b3DMhOHRmSk7fOajMqvsN6yMp7GfJKM0gyKY9mKiPuRuJslNFeoj2FkM8iSaq2LLdk3jEMugT5mVVQ95RYGwKadePpA==",
	],
	[
		"lz4",
		"AiFMGD0EAADeQUJDREVGR0hJSktMTQ0AFO8aAFTpqAcAAA0ABTQAH0k0AAEGTgATHQ0AXuhrBwAAaAAfHnUABANBABLejwBf6S4HAABoAAATFicAB48ACA0AEV0NAF/o8QYAAN0AAR6DjwAIJwAQlw0AVem0BgAAjwAIaAAY3g0ADpwAn79FRkfodwYAACcAAx/6NAABBmgAispCQ+k6BgAA0AAFNAAdIYYBCZwAfwxM6P0FAADUAQUW7GgAAl8BCk4Ab8LpwAUAABoAAQGCAB9kGgAGAeoAVeiDBQAAqQADNAABGgABaAAYMA0ADScAXelGBQAANAAGJwAYZg0ACrYAeEhJ6AkFAABFAQypAB7BNAAFWwBf6cwEAACcAAofhlsABz/ojwQZAwAJTgAebY8AAx4BY+lSBAAAWQ0ACTQABg0AGPQNAAe2AIxG6BUEAABMc+oACk4AGtU0AAU4ATDp2AMZAxbFaAAIWwAEJwATCLoBBSsBAicAMeibAxkDHaIaAAnqABYE+wEHGgAy6V4DGQMWs2gADLYAABoAF8U0AAVBADPoIQMZAx+KNAABBisBGIMNAANBADTp5AIZAxmlqQANDQAVYTQABZwANeinAhkDFn9oAANbAAUnAAAaAB20kwE26WoCGQMfXjQAAQZBABhtDQAAnAA36C0CGQMSGh4BAGgABjQAACcAAnUAGMoNAGhHSEnp8AEZAx/jNAABBk4AGOwNAFlEReizARkDFqpoAAY0AAYEARiqDQBKQel2ARkDH0o0AAECtgAAGgAYaQ0AO+g5ATIGFuFoAAY0AAYEAReiDQA86fwAMgYfoTQAAQYrARbjDQAw6L8AGQMJ6gAWW2gACxoAAScAFaWTATHpggAZAwDQAAU0ABPWJwAJHgEGDQAUKw0AMuhFABkDCeoAG1xOAAlbADFHSIOCAFNCQ+kIABkDCeoAG4xOAAlbADJERfZOAFDoy////04AB7YAAA0AG/tOAAlbADFBQlROAFvpjv///xoAAREBGz9OAAURAQBbADBLTMwnAFPoUf///8MAAU4AABoAANAAL0SHbAEDBCcAnw1LTE3pFP///ycAAxEJggAPeQEGhJlISejX/v//TgALggAW32gACxoAAPcAg0PgRema/v//qQAE0AAFNAATDScACtAABScAZ3foXf7//+oABRoAABEBL0UQGgAGAdAAXOkg/v//NAABGgABggAYTA0ADScAU+jj/f//aAAGNAAGJwAYbg0ABdAAA1sAX+mm/f//EQEDAk4AHmA0AAVbAFLoaf3//ycADx4BBB/3GgAGbEfpLP3//48ABVsAAdAAGmtFAQfdAGPo7/z///UnAAkaAAYNABi8DQAIWwB16bL8//9FHgQBCnUAA0EAGjc0AAWpADDodfwZAxMXJwAHGgAIDQAYnQ0ABgQBMek4/BkDHqp1AFBGR0hJSg==",
	],
];

/** As in a kernel: the size behind the stream, which a gzip member ends with anyway. */
function payloads(): [string, Uint8Array][] {
	const size = new Uint8Array(new Uint32Array([SIZE]).buffer);
	return [
		["gzip", new Uint8Array(gzipSync(sample()))],
		["gzip, stored", new Uint8Array(gzipSync(sample(), { level: 0 }))],
		["gzip, fixed codes", new Uint8Array(gzipSync(sample(), { strategy: 4 }))],
		...FIXTURES.map(([name, text]): [string, Uint8Array] => [
			name,
			new Uint8Array(Buffer.concat([Buffer.from(text, "base64"), size])),
		]),
	];
}

for (const [name, payload] of payloads())
	test(`${name}: the sample comes out`, () => {
		assert.deepEqual(compressionOf(payload)!.decode!(payload, SIZE), sample());
	});

test("damaged data is refused with a sentence, or gives some data of the size; nothing else happens", (t) => {
	const seed = Number(process.env.HYPERSCOPE_SEED ?? randomInt(2 ** 31));
	t.diagnostic(`seed ${seed} (HYPERSCOPE_SEED)`);
	let state = seed || 1;
	const random = (below: number) => {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		return (state >>> 0) % below;
	};
	let refused = 0;
	for (const [name, payload] of payloads())
		for (let run = 0; run < 300; run++) {
			const damaged = payload.slice(0, run % 3 === 0 ? 8 + random(payload.length - 8) : payload.length);
			for (let i = 0; i <= random(3); i++) damaged[6 + random(damaged.length - 6)] = random(256);
			try {
				assert.equal(compressionOf(damaged)!.decode!(damaged, SIZE).length, SIZE);
			} catch (error) {
				assert.ok(error instanceof CompressionError, `${name}: ${String(error)}`);
				assert.ok(error.message.length > 0);
				refused++;
			}
		}
	assert.ok(refused > 1000, String(refused));
});

test("what only has a name is known by it", () => {
	assert.deepEqual(
		[
			[0x42, 0x5a, 0x68, 0x39],
			[0x89, 0x4c, 0x5a, 0x4f],
			[0x7f, 0x45],
		]
			.map((bytes) => compressionOf(Uint8Array.from(bytes)))
			.map((found) => found && [found.name, found.decode]),
		[["bzip2", undefined], ["lzo", undefined], undefined],
	);
});
