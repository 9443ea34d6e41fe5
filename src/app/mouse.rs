//! The mouse: what lies where on the screen, and what a click or the wheel does there.
//!
//! A frame tells its places; the wheel moves what is under the pointer, a click gives the focus. Neither
//! ever answers a question: there is no place that does.

use super::keymap::Action;
use super::run_view::Pane;

/// Column and row, from 0.
pub type At = (u16, u16);

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The wheel was turned away from the operator.
    WheelUp(At),
    /// The wheel was turned towards the operator.
    WheelDown(At),
    /// The first button was pressed.
    Click(At),
}

impl Mouse {
    /// Where the pointer was.
    #[must_use]
    pub fn at(self) -> At {
        match self {
            Self::WheelUp(at) | Self::WheelDown(at) | Self::Click(at) => at,
        }
    }

    /// The movement that the wheel makes.
    #[must_use]
    pub fn movement(self) -> Option<Action> {
        match self {
            Self::WheelUp(_) => Some(Action::Up),
            Self::WheelDown(_) => Some(Action::Down),
            Self::Click(_) => None,
        }
    }
}

/// What lies somewhere on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A pane of a run.
    Pane(Pane),
    /// The name of a pane in a row of tabs.
    Tab(Pane),
    /// A row of the list on the screen, by its place in the list.
    Row(usize),
}

/// A part of the screen: column, row, width, height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its left column.
    pub x: u16,
    /// Its upper row.
    pub y: u16,
    /// Its columns.
    pub width: u16,
    /// Its rows.
    pub height: u16,
    /// What is there.
    pub spot: Spot,
}

impl Place {
    fn holds(&self, (column, row): At) -> bool {
        (self.x..self.x.saturating_add(self.width)).contains(&column)
            && (self.y..self.y.saturating_add(self.height)).contains(&row)
    }
}

/// What lies at a point; what was drawn last lies on top.
#[must_use]
pub fn spot_at(places: &[Place], at: At) -> Option<Spot> {
    places
        .iter()
        .rfind(|place| place.holds(at))
        .map(|place| place.spot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_drawn_place_is_the_one_that_is_hit() {
        let place = |x, width, spot| Place {
            x,
            y: 1,
            width,
            height: 2,
            spot,
        };
        let places = [
            place(0, 10, Spot::Pane(Pane::Phases)),
            place(4, 2, Spot::Row(7)),
        ];
        assert_eq!(spot_at(&places, (3, 2)), Some(Spot::Pane(Pane::Phases)));
        assert_eq!(spot_at(&places, (4, 1)), Some(Spot::Row(7)));
        assert_eq!(spot_at(&places, (4, 3)), None);
        assert_eq!(spot_at(&places, (10, 1)), None);
    }
}
