//! Charts as figures that SVG takes: places and lengths in percent of the width, so that they fit any.

use crate::output::{count, counted, percent};
use crate::report::ages::{AgeSum, Ages};

/// Height in which columns stand, and the room above them for their figures.
const COLUMNS_HIGH_PX: f64 = 150.0;
const FIGURE_HIGH_PX: f64 = 20.0;

/// A piece of a bar, in percent of the width.
pub struct Piece {
    pub x: String,
    pub width: String,
    pub class: &'static str,
}

impl Piece {
    /// Lays pieces side by side; `most` is what fills the width.
    pub fn row(most: u64, sizes: &[(u64, &'static str)]) -> Vec<Self> {
        let mut x = 0.0;
        let mut pieces = Vec::new();
        for (size, class) in sizes.iter().filter(|(size, _)| *size > 0) {
            let width = ratio(*size, most) * 100.0;
            pieces.push(Self { x: two(x), width: two(width), class });
            x += width;
        }
        pieces
    }
}

/// Columns of a chart, each in two parts that stand on each other.
pub struct Columns {
    pub height: String,
    pub columns: Vec<Column>,
}

pub struct Column {
    pub x: String,
    pub middle: String,
    pub width: String,
    pub current: (String, String),
    pub outdated: (String, String),
    pub figure_y: String,
    pub figure: String,
    /// The year, where it begins.
    pub year: Option<String>,
    pub quarter: String,
    pub told: String,
}

/// Lays out the ages of bases. Nothing where no date is known.
pub fn columns(ages: &Ages) -> Option<Columns> {
    let most = ages.quarters.iter().map(AgeSum::images).max()?;
    let step = 100.0 / ages.quarters.len() as f64;
    let column = |(at, sum): (usize, &AgeSum)| {
        let left = at as f64 * step;
        let height = |images| ratio(images, most) * COLUMNS_HIGH_PX;
        let (current, outdated) = (height(sum.current), height(sum.outdated));
        let bottom = FIGURE_HIGH_PX + COLUMNS_HIGH_PX;
        let is_first_of_year = at == 0 || sum.quarter.number() == 1;
        let earlier = if at == 0 && ages.has_earlier { " and earlier" } else { "" };
        let quarter = format!("Q{}", sum.quarter.number());
        Column {
            x: two(left + step * 0.12),
            middle: two(left + step * 0.5),
            width: two(step * 0.76),
            current: (two(bottom - current), two(current)),
            outdated: (two(bottom - current - outdated), two(outdated)),
            figure_y: two(bottom - current - outdated - 6.0),
            figure: if sum.images() > 0 { count(sum.images()) } else { String::new() },
            year: is_first_of_year
                .then(|| format!("{}{}", if earlier.is_empty() { "" } else { "≤ " }, sum.quarter.year())),
            told: format!(
                "{quarter} {}{earlier}: {} on {}, {} of them outdated",
                sum.quarter.year(),
                counted(sum.images(), "image"),
                counted(sum.bases, "base"),
                count(sum.outdated)
            ),
            quarter,
        }
    };
    let columns = ages.quarters.iter().enumerate().map(column).collect();
    Some(Columns { height: two(FIGURE_HIGH_PX + COLUMNS_HIGH_PX), columns })
}

/// A part of a whole as text.
pub fn share(part: u64, whole: u64) -> String {
    percent(ratio(part, whole))
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Two places are less than a dot on any screen.
fn two(number: f64) -> String {
    format!("{number:.2}")
}
