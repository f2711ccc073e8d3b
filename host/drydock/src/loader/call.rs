//! Calls into an image.
//!
//! Every call of the model into code of an image passes here, so that there is one place that prepares the thread for
//! it. Arguments are register-sized: a narrower integer or a boolean is passed zero-extended, a pointer as its address.
#![expect(
    unsafe_code,
    reason = "an image's entry points are known by address only"
)]
#![expect(clippy::too_many_arguments, reason = "as many as the function called")]

use crate::sched;

macro_rules! calls {
    ($($name:ident($($argument:ident),*): $count:literal;)*) => {$(
        #[doc = concat!("Calls the function of an image at `function` with ", $count, " arguments; gives what it left in RAX.")]
        ///
        /// # Safety
        /// `function` is the address of a function of a mapped image, or an `extern "win64"` function, that takes
        /// these arguments and does not unwind.
        #[inline]
        pub unsafe fn $name(function: usize $(, $argument: u64)*) -> u64 {
            sched::assert_no_lock_held("a call into an image");
            // SAFETY: the caller vouches for the address and the signature.
            let function: extern "win64" fn($(calls!(@type $argument)),*) -> u64 = unsafe { std::mem::transmute(function) };
            function($($argument),*)
        }
    )*};
    (@type $argument:ident) => { u64 };
}

calls! {
    call0(): "no";
    call1(a): "1";
    call2(a, b): "2";
    call3(a, b, c): "3";
    call4(a, b, c, d): "4";
    call5(a, b, c, d, e): "5";
    call6(a, b, c, d, e, f): "6";
    call7(a, b, c, d, e, f, g): "7";
    call8(a, b, c, d, e, f, g, h): "8";
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "win64" fn digits(
        a: u64,
        b: u64,
        c: u64,
        d: u64,
        e: u64,
        f: u64,
        g: u64,
        h: u64,
    ) -> u64 {
        [a, b, c, d, e, f, g, h]
            .iter()
            .fold(0, |sum, digit| sum * 10 + digit)
    }

    #[test]
    fn arguments_beyond_the_fourth_arrive_in_order() {
        // SAFETY: `digits` takes eight register-sized arguments.
        let sum = unsafe { call8(digits as *const () as usize, 1, 2, 3, 4, 5, 6, 7, 8) };
        assert_eq!(sum, 12_345_678);
    }
}
