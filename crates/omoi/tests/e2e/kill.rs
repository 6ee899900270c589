//! Kill −9 around every durable write, and at any moment: the run goes on from where it was, and
//! nothing is done twice.

mod accounts;
mod bench;
mod budgets;
mod moments;
mod points;
mod tickets;
mod upgrade;
