//! The three functions that the page's worker calls: room for a request, the answer to it, and where the answer stands.
//!
//! A module of WebAssembly without bindings generated for it: a request is JSON in UTF-8, so is an answer, but for files,
//! which are bytes.
#![allow(unsafe_code)]

use crate::App;
use std::cell::RefCell;

thread_local! {
    static STATE: RefCell<(App, Vec<u8>, Vec<u8>)> = RefCell::new((App::default(), Vec::new(), Vec::new()));
}

/// Makes room for a request of so many bytes, and says where.
// SAFETY: no other function of the module has the name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn chainrule_room(bytes: usize) -> *mut u8 {
    STATE.with_borrow_mut(|(_, request, _)| {
        request.clear();
        request.resize(bytes, 0);
        request.as_mut_ptr()
    })
}

/// Answers the request that stands in the room: the answer's length.
// SAFETY: no other function of the module has the name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn chainrule_call() -> usize {
    STATE.with_borrow_mut(|(app, request, answer)| {
        *answer = app.call(&std::mem::take(request));
        answer.len()
    })
}

/// Where the answer stands, until the next call.
// SAFETY: no other function of the module has the name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn chainrule_answer() -> *const u8 {
    STATE.with_borrow(|(_, _, answer)| answer.as_ptr())
}
