//! Models on a bad day: each has an outcome with a name.

mod declined;
mod untold;
mod waited_for;
mod worded;
