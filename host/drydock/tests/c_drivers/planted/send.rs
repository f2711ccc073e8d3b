//! I/O targets and created requests.

use super::*;

caught! {
    send_of_an_unformatted_request: "send of an unformatted request", OFF => ["VIOLATION R-TGT-31"];
    reuse_while_sent: "reuse while sent", OFF => ["VIOLATION R-TGT-85"];
    reuse_while_sent_breaks: "reuse while sent", ON => ["BREAK R-TGT-85"];
    delete_while_sent: "delete while sent", OFF => ["VIOLATION R-TGT-114"];
    delete_while_sent_breaks: "delete while sent", ON => ["BREAK R-TGT-114"];
    /// R-TGT-54.
    send_of_a_sent_request: "send of a sent request", OFF => ["BUG CHECK 0x10D", "(0x6, 0x3,"];
    /// R-TGT-51: the completion routine has completed it, inside the send.
    use_after_send: "use after send", OFF => ["R-OBJ-05", "WdfRequestSetInformation"];
    send_with_invalid_options: "send with invalid options", OFF => ["BREAK R-TGT-52"];
    send_without_a_completion_routine: "send without a completion routine", OFF => ["BREAK R-TGT-53"];
    forget_of_a_formatted_request: "forget a formatted request", OFF => ["BREAK R-TGT-71"];
    forget_with_a_completion_routine: "forget with a completion routine", ON => ["BREAK R-TGT-72"];
    /// ReqDelete. R-REQ-27.
    completion_of_a_created_request: "completion of a created request", OFF => ["BREAK R-REQ-27"];
    /// R-TGT-42.
    format_without_an_irp: "format without an IRP", OFF => ["BUG CHECK 0x10D", "(0x6, 0x2,"];
    /// R-TGT-42.
    format_without_a_stack_location: "format without a stack location", OFF => ["BUG CHECK 0x10D", "(0x6, 0x1,"];
    completion_params_without_a_format: "completion params without a format", OFF => ["BREAK R-TGT-87"];
    /// R-CHK-41.
    synchronous_send_at_dispatch_level: "synchronous send at DISPATCH_LEVEL", ON => ["BREAK", "WdfRequestSend"];
}
