// How a real-time clock shows a moment: the ten time bytes in BCD or binary, 12 or 24 hours, with the century byte of the IBM AT.
// Reference: Motorola MC146818 data sheet, "Time, Calendar, and Alarm Locations".

/** Byte addresses. */
export const SECONDS = 0x00;
export const SECONDS_ALARM = 0x01;
export const MINUTES = 0x02;
export const MINUTES_ALARM = 0x03;
export const HOURS = 0x04;
export const HOURS_ALARM = 0x05;
export const DAY_OF_WEEK = 0x06;
export const DAY_OF_MONTH = 0x07;
export const MONTH = 0x08;
export const YEAR = 0x09;
export const CENTURY = 0x32;

/** The bytes that tell the time, in the order of `TimeBytes`. */
export const timeAddresses = [SECONDS, MINUTES, HOURS, DAY_OF_WEEK, DAY_OF_MONTH, MONTH, YEAR, CENTURY] as const;
export type TimeBytes = number[];

/** Register B: DM (binary) and 24/12. */
export interface CalendarFormat {
	readonly binary: boolean;
	readonly hours24: boolean;
}

const PM = 0x80;
const secondsPerDay = 86_400;

function toByte(value: number, format: CalendarFormat): number {
	return format.binary ? value : (Math.trunc(value / 10) << 4) | (value % 10);
}

/** The number that a time byte stands for; wrong BCD digits count as they are. */
export function fromByte(byte: number, format: CalendarFormat): number {
	return format.binary ? byte : (byte >> 4) * 10 + (byte & 15);
}

/** The hour 0 to 23 of an hours byte. */
export function hourFromByte(byte: number, format: CalendarFormat): number {
	if (format.hours24) return fromByte(byte, format);
	return (fromByte(byte & ~PM, format) % 12) + (byte & PM ? 12 : 0);
}

function hourToByte(hour: number, format: CalendarFormat): number {
	if (format.hours24) return toByte(hour, format);
	return toByte(hour % 12 || 12, format) | (hour >= 12 ? PM : 0);
}

/** The time bytes for `seconds` since 1970; `weekdayShift` is how far the day of the week has been set from the true one. */
export function timeBytes(seconds: number, weekdayShift: number, format: CalendarFormat): TimeBytes {
	const date = new Date(seconds * 1000);
	const year = ((date.getUTCFullYear() % 10_000) + 10_000) % 10_000;
	return [
		toByte(date.getUTCSeconds(), format),
		toByte(date.getUTCMinutes(), format),
		hourToByte(date.getUTCHours(), format),
		((date.getUTCDay() + weekdayShift) % 7) + 1,
		toByte(date.getUTCDate(), format),
		toByte(date.getUTCMonth() + 1, format),
		toByte(year % 100, format),
		toByte(Math.trunc(year / 100), format),
	];
}

/** The moment that time bytes stand for. Impossible ones (a 31st of February) run over into what follows. */
export function momentOf(bytes: TimeBytes, format: CalendarFormat): { seconds: number; weekdayShift: number } {
	const number = (index: number) => fromByte(bytes[index]!, format);
	const date = new Date(0);
	date.setUTCFullYear(number(7) * 100 + number(6), number(5) - 1, number(4));
	const midnight = date.getTime() / 1000;
	const seconds = midnight + hourFromByte(bytes[2]!, format) * 3600 + number(1) * 60 + number(0);
	const weekday = new Date(Math.floor(seconds / secondsPerDay) * secondsPerDay * 1000).getUTCDay();
	return { seconds, weekdayShift: (((bytes[3]! - 1 - weekday) % 7) + 7) % 7 };
}

/**
 * The first second after `seconds` whose time of day matches the three alarm bytes; undefined if none ever does. A byte with
 * both upper bits set matches everything ("don't care").
 */
export function nextAlarmSecond(
	seconds: number,
	alarm: { seconds: number; minutes: number; hours: number },
	format: CalendarFormat,
): number | undefined {
	const matcher = (byte: number, value: number) => ((byte & 0xc0) === 0xc0 ? undefined : value);
	const wanted = {
		second: matcher(alarm.seconds, fromByte(alarm.seconds, format)),
		minute: matcher(alarm.minutes, fromByte(alarm.minutes, format)),
		hour: matcher(alarm.hours, hourFromByte(alarm.hours, format)),
	};
	const midnight = Math.floor((seconds + 1) / secondsPerDay) * secondsPerDay;
	const inDay = (from: number): number | undefined => {
		for (let hour = Math.floor(from / 3600); hour < 24; hour++) {
			if (wanted.hour !== undefined && wanted.hour !== hour) continue;
			const firstMinute = hour * 60 >= from / 60 ? 0 : Math.floor((from % 3600) / 60);
			for (let minute = firstMinute; minute < 60; minute++) {
				if (wanted.minute !== undefined && wanted.minute !== minute) continue;
				const start = hour * 3600 + minute * 60;
				const firstSecond = start >= from ? 0 : from - start;
				const second = wanted.second ?? firstSecond;
				if (second >= firstSecond && second < 60) return start + second;
			}
		}
		return undefined;
	};
	const today = inDay(seconds + 1 - midnight);
	if (today !== undefined) return midnight + today;
	const tomorrow = inDay(0);
	return tomorrow === undefined ? undefined : midnight + secondsPerDay + tomorrow;
}
