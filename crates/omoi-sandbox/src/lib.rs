//! Where agents and checks run: bubblewrap and plain processes behind one trait
