/// One request on its way through the guard.
package final class Exchange {
    package enum Gate { case judge, pass(target: String), refuse(GuardResponse) }
    package enum Admission: Sendable { case forward(target: String, body: [UInt8]), refuse(GuardResponse) }
    private let arrival: Arrival
    package init(arrival: Arrival) { self.arrival = arrival }
    package func open() -> Gate { .judge }
    package func admit(body: [UInt8]) -> Admission { .forward(target: arrival.target, body: body) }
    package func refuse(_ failure: TransportFailure) -> GuardResponse { GuardResponse(status: 400) }
    package func refuse(_ fault: UpstreamFault) -> GuardResponse { GuardResponse(status: fault.status) }
    package var responseHeaders: [(name: String, value: String)] { [] }
    package var isHolding: Bool { false }
    package func answerHead(status: Int, contentType: String?) -> AnswerPlan { .pass }
    package func answer(bytes: [UInt8]) -> AnswerStep { AnswerStep(output: bytes) }
    package func answer(whole: [UInt8]) -> GuardResponse { GuardResponse(status: 200, body: whole) }
    package func answerEnded(complete: Bool) -> AnswerStep { AnswerStep() }
    package func finish(_ end: ExchangeEnd) {}
}
