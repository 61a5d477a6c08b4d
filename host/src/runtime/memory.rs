//! Memory that was needed once.

/// Gives what was freed back to the system. The allocator does so by itself only while a program
/// goes on allocating: after a start with a hundred connectors, whose files and code were read and
/// let go, it held twice of what was in use.
pub(super) fn give_back() {
    #[expect(unsafe_code, reason = "the allocator is a library in C")]
    // SAFETY: it takes no pointer, may be called at any time and from any thread, and does nothing
    // where another allocator is in use.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
