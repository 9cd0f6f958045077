//! A line chart as SVG, drawn by plotters. Ink takes the colour of the page's text, so that it reads on light and dark alike.

use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, IntoDrawingArea, IntoFont, LineSeries, RGBColor, SVGBackend, ShapeStyle,
};

/// Width and height of a chart, in CSS pixels.
const SIZE: (u32, u32) = (760, 260);
/// Stands for the colour of the page's text until the SVG is in the page.
const INK: RGBColor = RGBColor(1, 2, 3);
const INK_WORD: &str = "#010203";
/// Okabe and Ito's bluish green and vermilion: told apart by everyone, on light and on dark.
const FIRST: RGBColor = RGBColor(0, 158, 115);
const SECOND: RGBColor = RGBColor(213, 94, 0);
/// Points of a line beyond which single ones are no longer marked.
const MARKED: usize = 60;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Behind the others.
    Faint,
    /// The first colour.
    First,
    /// The second colour, with a mark at each point.
    Second,
}

impl Look {
    /// The colour in a legend.
    pub fn css(self) -> &'static str {
        match self {
            Look::Faint => "rgba(0, 158, 115, 0.35)",
            Look::First => "rgb(0, 158, 115)",
            Look::Second => "rgb(213, 94, 0)",
        }
    }

    fn style(self) -> ShapeStyle {
        match self {
            Look::Faint => FIRST.mix(0.35).stroke_width(1),
            Look::First => FIRST.stroke_width(2),
            Look::Second => SECOND.stroke_width(2),
        }
    }
}

/// Values over steps.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What it shows.
    pub name: &'static str,
    /// Step and value.
    pub points: Vec<(f64, f64)>,
    /// How it looks.
    pub look: Look,
}

/// Lines over the same steps.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// Unit of the values; empty for none.
    pub unit: &'static str,
    /// The lines, drawn in this order.
    pub lines: Vec<Line>,
}

impl Chart {
    /// Whether there is anything to draw.
    pub fn has_points(&self) -> bool {
        self.points().next().is_some()
    }

    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.lines.iter().flat_map(|line| &line.points).filter(|(_, value)| value.is_finite())
    }

    /// The chart as an SVG element.
    pub fn draw(&self) -> Result<String, String> {
        let mut svg = String::new();
        self.draw_on(SVGBackend::with_string(&mut svg, SIZE)).map_err(|e| e.to_string())?;
        // The element stands inside a page: it is scaled by the page, named for screen readers, and inked like the text.
        let head = format!("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" ", SIZE.0, SIZE.1, self.title);
        let element = svg.replacen("<svg ", &head, 1);
        Ok(element.replace(INK_WORD, "currentColor"))
    }

    fn draw_on<'a>(&self, backend: SVGBackend<'a>) -> Result<(), Box<dyn std::error::Error + 'a>> {
        let root = backend.into_drawing_area();
        let (x, y) = (extent(self.points().map(|p| p.0), 0.0), extent(self.points().map(|p| p.1), 0.06));
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(64)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        let label = ("sans-serif", 12).into_font().color(&INK);
        chart
            .configure_mesh()
            .x_desc("step")
            .y_desc(self.unit)
            .x_label_formatter(&|v| format!("{v:.0}"))
            .y_label_formatter(&|v| number(*v))
            .x_labels(8)
            .y_labels(5)
            .label_style(label.clone())
            .axis_desc_style(label)
            .axis_style(INK.mix(0.35))
            .bold_line_style(INK.mix(0.12))
            .light_line_style(BLACK.mix(0.0))
            .draw()?;
        for line in &self.lines {
            let points = line.points.iter().copied().filter(|(_, value)| value.is_finite());
            chart.draw_series(LineSeries::new(points.clone(), line.look.style()))?;
            if line.look == Look::Second && line.points.len() <= MARKED {
                chart.draw_series(points.map(|point| Circle::new(point, 3, SECOND.filled())))?;
            }
        }
        root.present()?;
        Ok(())
    }
}

/// Smallest and largest value with so much room around them.
fn extent(values: impl Iterator<Item = f64>, room: f64) -> (f64, f64) {
    let (least, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let width = if most > least { most - least } else { most.abs().max(1.0) * 0.1 };
    let (below, above) = (least - room * width, most + room * width);
    // What is never negative is not shown below zero.
    (if least >= 0.0 { below.max(0.0) } else { below }, if most > least { above } else { most + width })
}

/// A short number.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.001 => format!("{value:.1e}"),
        v if v < 1.0 => format!("{value:.4}").trim_end_matches('0').to_owned(),
        v if v < 100.0 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart { title: "Loss", unit: "nats", lines: vec![Line { name: "loss", points, look: Look::Second }] }
    }

    #[test]
    fn a_chart_is_one_svg_element_in_the_colour_of_the_text() {
        let svg = chart(vec![(0.0, 3.0), (10.0, 2.0), (20.0, f64::NAN)]).draw().unwrap();
        assert!(svg.starts_with("<svg viewBox=\"0 0 760 260\" role=\"img\" aria-label=\"Loss\""), "{}", &svg[..120]);
        assert!(svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("currentColor") && !svg.contains(INK_WORD));
        assert!(svg.contains("<polyline") && svg.contains("<circle"));
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn one_point_can_be_drawn_and_none_is_known() {
        assert!(chart(vec![(1.0, 2.0)]).draw().is_ok());
        assert!(!chart(vec![(1.0, f64::INFINITY)]).has_points());
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.000_05, 0.25, 3.5, 12.0, 1234.5].map(number), ["0", "5.0e-5", "0.25", "3.5", "12", "1234"]);
    }
}
