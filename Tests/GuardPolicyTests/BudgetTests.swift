import GuardBudgets
import GuardCore
import GuardDecisionLog
import GuardPolicy
import Synchronization
import Testing

@Suite struct BudgetTests {
    static func budget(
        _ windows: [BudgetWindow], request: Budget.RequestLimits = .init(), concurrency: Int? = nil, mode: Mode = .enforce
    ) -> Budget {
        Budget(name: "b", scope: [.tenant], request: request, windows: windows, concurrency: concurrency, mode: mode)
    }

    /// A clock that stands still.
    static let clock = UTCClock { UTCTime(milliseconds: 1_800_000_000_000) }

    @Test func reservationCountsPromptsTimesChoices() async throws {
        let fixture = try EngineFixture(budgets: [Self.budget([.init(.tokens, 100_000, per: .minute)])], clock: Self.clock)
        let body = #"{"model":"demo","prompt":["a","b c"],"n":3,"best_of":4}"#
        let outcome = await fixture.send(body, path: "/v1/completions")
        let exchange = try #require(outcome.exchange)
        exchange.finish(.clientGone)
        let record = try fixture.record
        let prompt = try #require(record.tokens?.prompt)
        // Completions without max_tokens: the API's default of 16, and max(n, best_of) answers for each of two prompts.
        #expect(record.budget.first?.reserved == Int64(prompt + 2 * 4 * 16))
        // Nothing came back, so nothing is charged.
        #expect(record.budget.first?.settled == 0)
    }

    @Test func aFullWindowAnswers429AndSettlementGivesBack() async throws {
        let fixture = try EngineFixture(budgets: [Self.budget([.init(.tokens, 200, per: .minute)])], clock: Self.clock)
        let body = EngineFixture.chat("a", #","max_tokens":100"#)
        let first = try #require(await fixture.send(body).exchange)
        let second = await fixture.send(body)
        #expect(second.refusal == "429 token_budget_exceeded")
        #expect(second.response?.headers.contains { $0.name == "retry-after" } == true)
        // Another tenant has a ledger of its own.
        #expect(await fixture.send(body, tenant: "other").exchange != nil)
        #expect(first.answerHead(status: 200, contentType: "application/json") == .collect)
        _ = first.answer(whole: EngineFixture.answer("hi"))
        first.finish(.complete)
        #expect(await fixture.send(body).exchange != nil)
    }

    @Test func whatNeverFitsIs400() async throws {
        let fixture = try EngineFixture(budgets: [Self.budget([.init(.tokens, 50, per: .minute)])], clock: Self.clock)
        #expect(await fixture.send(EngineFixture.chat("a", #","max_tokens":100"#)).refusal == "400 prompt_budget_exceeded")
    }

    @Test func requestLimitsRefuseOrLowerOnlyTheDefault() async throws {
        let limits = Budget.RequestLimits(completionTokens: 10)
        let fixture = try EngineFixture(budgets: [Self.budget([], request: limits)], clock: Self.clock)
        #expect(await fixture.send(EngineFixture.chat("a", #","max_tokens":11"#)).refusal == "400 prompt_budget_exceeded")
        let lowered = try #require(await fixture.send(EngineFixture.chat("a")).body)
        #expect(lowered.contains(#""max_tokens":10"#) || lowered.contains(#""max_tokens": 10"#))
    }

    @Test func rateAndConcurrency() async throws {
        let rate = try EngineFixture(budgets: [Self.budget([.init(.requests, 2, per: .minute)])], clock: Self.clock)
        for _ in 0..<2 { #expect(await rate.send(EngineFixture.chat("xyzzy")).refusal == "400 content_policy_violation") }
        // A blocked request costs one request and no tokens.
        #expect(await rate.send(EngineFixture.chat("a")).refusal == "429 token_budget_exceeded")

        let slots = try EngineFixture(budgets: [Self.budget([], concurrency: 1)], clock: Self.clock)
        let running = await slots.send(EngineFixture.chat("a"))
        #expect(await slots.send(EngineFixture.chat("a")).refusal == "429 token_budget_exceeded")
        running.exchange?.finish(.clientGone)
        #expect(await slots.send(EngineFixture.chat("a")).exchange != nil)
    }

    @Test func monitoredBudgetsOnlyReport() async throws {
        let fixture = try EngineFixture(
            budgets: [Self.budget([.init(.tokens, 50, per: .minute)], mode: .monitor)], clock: Self.clock)
        let outcome = await fixture.send(EngineFixture.chat("a", #","max_tokens":100"#))
        #expect(outcome.exchange != nil)
        outcome.exchange?.finish(.complete)
        #expect(try fixture.record.wouldAction == .refuse)
        #expect(try fixture.record.reasons.contains("prompt_budget_exceeded"))
    }

    @Test func usageAboveTheReservationIsDebt() async throws {
        let fixture = try EngineFixture(budgets: [Self.budget([.init(.tokens, 200, per: .minute)])], clock: Self.clock)
        let exchange = try #require(await fixture.send(EngineFixture.chat("a", #","max_tokens":100"#)).exchange)
        _ = exchange.answerHead(status: 200, contentType: "application/json")
        _ = exchange.answer(
            whole: EngineFixture.answer("hi", usage: #"{"prompt_tokens":20,"completion_tokens":300,"total_tokens":320}"#))
        exchange.finish(.complete)
        let budget = try #require(try fixture.record.budget.first)
        #expect(budget.settled == 320 && budget.remaining == -120)
    }
}
