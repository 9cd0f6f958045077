//! Numbers as people read them: with their unit, grouped, and no more digits than they are worth. Pure functions.

use jiff::{Timestamp, tz::TimeZone};

/// A whole number with its thousands set apart: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 row`, `12,345 rows`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A large number of parameters: `134.5 M`.
pub fn parameters(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1} k", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{:.2} B", number as f64 / 1e9),
    }
}

/// A size: `3.4 MB`, in powers of 1000.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if number < 1_000 {
        return format!("{number} B");
    }
    let mut size = number as f64 / 1e3;
    let mut unit = 0;
    // 999.95 would be written as 1000.0.
    while size >= 999.95 && unit + 1 < UNITS.len() {
        size /= 1e3;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// A stretch of time: `0.35 s`, `12 s`, `3 min 20 s`, `2 h 05 min`.
pub fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// A stretch of time in milliseconds.
pub fn span_ms(ms: u64) -> String {
    span(ms as f64 / 1e3)
}

/// An instant in local time: `2026-11-20 12:03`.
pub fn instant(at_ms: u64) -> String {
    let instant = i64::try_from(at_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    instant.map_or_else(
        || format!("{at_ms} ms"),
        |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}

/// A loss or a perplexity: `1.9231`.
pub fn loss(number: f64) -> String {
    if number.abs() < 1_000.0 { format!("{number:.4}") } else { format!("{number:.1}") }
}

/// A share: `82.7 %`.
pub fn share(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// A rate of learning: `4.9e-4`.
pub fn rate(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { format!("{number:.1e}") }
}

/// A speed: `1,234 tokens/s`.
pub fn speed(per_second: f64, unit: &str) -> String {
    if per_second >= 10.0 {
        format!("{} {unit}/s", count(per_second.round() as u64))
    } else {
        format!("{per_second:.1} {unit}/s")
    }
}

/// So much of so much: `7 of 1,200 rows`, `2.0 MB of 4.0 MB`.
pub fn part(done: u64, total: u64, unit: &str) -> String {
    let head = if unit == "bytes" { bytes(done) } else { count(done) };
    format!("{head} of {}", amount(total, unit))
}

/// So much of a unit: bytes with their own, everything else as a number before the unit.
pub fn amount(number: u64, unit: &str) -> String {
    if unit == "bytes" { bytes(number) } else { format!("{} {unit}", count(number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        let all = [0, 7, 999, 1_000, 12_345, 1_234_567].map(count);
        assert_eq!(all, ["0", "7", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(counted(1, "row", "rows"), "1 row");
        assert_eq!(counted(2_000, "row", "rows"), "2,000 rows");
    }

    #[test]
    fn sizes_change_their_unit_before_four_digits() {
        let all = [999, 1_000, 999_949, 999_950, 3_400_000, u64::MAX].map(bytes);
        assert_eq!(all, ["999 B", "1.0 kB", "999.9 kB", "1.0 MB", "3.4 MB", "18446.7 PB"]);
        assert_eq!([512, 1_500, 134_515_008, 7_000_000_000].map(parameters), ["512", "1.5 k", "134.5 M", "7.00 B"]);
    }

    #[test]
    fn times_have_at_most_two_units() {
        let all = [0.354, 12.4, 59.7, 200.0, 7_500.0, 100_000.0].map(span);
        assert_eq!(all, ["0.35 s", "12 s", "1 min 00 s", "3 min 20 s", "2 h 05 min", "1 d 03 h"]);
        assert_eq!(span_ms(1_500), "1.50 s");
    }

    #[test]
    fn rates_and_shares() {
        assert_eq!([0.0, 4.9e-4, 5e-5].map(rate), ["0", "4.9e-4", "5.0e-5"]);
        assert_eq!(share(0.8273), "82.7 %");
        assert_eq!([1.92314, 5_000.26].map(loss), ["1.9231", "5000.3"]);
        assert_eq!([1_234.4, 2.5].map(|speed_of| speed(speed_of, "tokens")), ["1,234 tokens/s", "2.5 tokens/s"]);
        assert_eq!(amount(2_500, "bytes"), "2.5 kB");
        assert_eq!(amount(2_500, "rows"), "2,500 rows");
        assert_eq!(part(7, 1_200, "rows"), "7 of 1,200 rows");
        assert_eq!(part(2_000, 4_000, "bytes"), "2.0 kB of 4.0 kB");
    }
}
