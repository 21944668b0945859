import Foundation
import GuardBudgets
import GuardCore
import GuardTesting
import Testing

struct PlanCase: Decodable, Sendable, CustomTestStringConvertible {
    struct Model: Decodable, Sendable { var context: Int?, maxInput: Int?, `default`: Int? }
    struct Limits: Decodable, Sendable {
        var name: String, prompt: Int?, completion: Int?, total: Int?, onShort: String?, min: Int?, mode: String?
    }
    struct Expect: Decodable, Sendable {
        var output: Int?, reserved: Int?, origin: String?, lowered: String?, writes: Bool?
        var refusal: String?, budget: String?, limit: Int64?, requested: Int64?, would: [String]?
    }
    var name: String, prompts: [Int], choices: Int?, limit: Int?, apiDefault: Int?, generates: Bool?
    var model: Model?, budgets: [Limits]?, expect: Expect

    var testDescription: String { name }

    static let all: [PlanCase] = load("budgets/plans.json")

    static func load<T: Decodable>(_ path: String) -> [T] {
        do {
            return try JSONDecoder().decode([T].self, from: Data(contentsOf: TestData.fixtures.appending(path: path)))
        } catch {
            Issue.record("\(path): \(error)")
            return []
        }
    }
}

@Suite struct ReservationPlanTests {
    @Test func hasCases() { #expect(PlanCase.all.count >= 35) }

    @Test(arguments: PlanCase.all) func plan(_ test: PlanCase) {
        let budgets = (test.budgets ?? []).map { limits in
            Budget(
                name: limits.name,
                request: .init(
                    promptTokens: limits.prompt, completionTokens: limits.completion, totalTokens: limits.total),
                onShort: limits.onShort == "clamp" ? .clamp : .refuse, minCompletionTokens: limits.min ?? 1,
                mode: limits.mode == "monitor" ? .monitor : .enforce)
        }
        let plan = ReservationPlan(
            Generation(
                promptTokens: test.prompts, choicesMax: test.choices ?? 1, clientLimit: test.limit,
                apiDefaultLimit: test.apiDefault, generates: test.generates ?? true),
            model: ModelLimits(
                contextWindow: test.model?.context, maxInputTokens: test.model?.maxInput,
                defaultCompletionTokens: test.model?.default ?? 1024),
            budgets: budgets)
        let expect = test.expect
        #expect(plan.refusal?.kind.rawValue == expect.refusal)
        if let refusal = plan.refusal {
            #expect(refusal.limit == expect.limit)
            #expect(refusal.requested == expect.requested)
            #expect(refusal.status == 400)
            #expect(!refusal.shouldRetry)
            #expect(refusal.message.contains(String(refusal.limit)))
            if let budget = expect.budget { #expect(refusal.budget == budget) }
            return
        }
        #expect(plan.outputLimit == expect.output)
        if let reserved = expect.reserved { #expect(plan.reservedTokens == reserved) }
        if let origin = expect.origin { #expect(plan.origin.rawValue == origin) }
        if let writes = expect.writes { #expect(plan.writesOutputLimit == writes) }
        switch plan.lowered {
        case nil: #expect(expect.lowered == nil)
        case .contextWindow: #expect(expect.lowered == nil || expect.lowered == "contextWindow")
        case .requestBudget(let name): #expect(expect.lowered == nil || expect.lowered == name)
        }
        if expect.lowered != nil { #expect(plan.lowered != nil) }
        if let would = expect.would { #expect(plan.wouldRefuse.map(\.kind.rawValue) == would) }
    }

    /// Whatever the numbers: nothing traps, nothing negative, and a plan without refusal keeps every limit.
    @Test func limitsHoldForAnyNumbers() {
        var random = SeededRandom(seed: 11)
        let interesting = [0, 1, 2, 3, 10, 100, 1000, 1 << 20, 1 << 40, Int.max / 2, Int.max - 1, Int.max]
        for _ in 0..<20_000 {
            func pick() -> Int { interesting[Int.random(in: 0..<interesting.count, using: &random)] }
            func maybe() -> Int? { Bool.random(using: &random) ? pick() : nil }
            let prompts = (0..<Int.random(in: 0...3, using: &random)).map { _ in pick() }
            let budget = Budget(
                name: "b",
                request: .init(promptTokens: maybe(), completionTokens: maybe(), totalTokens: maybe()),
                onShort: Bool.random(using: &random) ? .clamp : .refuse, minCompletionTokens: pick())
            let model = ModelLimits(contextWindow: maybe(), maxInputTokens: maybe(), defaultCompletionTokens: pick())
            let request = Generation(
                promptTokens: prompts, choicesMax: pick(), clientLimit: maybe(), apiDefaultLimit: maybe())
            let plan = ReservationPlan(request, model: model, budgets: [budget])
            #expect(plan.reservedTokens >= 0)
            #expect(plan.reservedTokens >= plan.promptTokens)
            guard plan.refusal == nil, !prompts.isEmpty, plan.reservedTokens < Int.max else { continue }
            let completion = plan.reservedTokens - plan.promptTokens
            if let limit = budget.request.promptTokens { #expect(plan.promptTokens <= limit) }
            if let limit = budget.request.completionTokens { #expect(completion <= limit) }
            if let limit = budget.request.totalTokens { #expect(plan.reservedTokens <= limit) }
            if let limit = model.contextWindow {
                #expect(plan.longestPromptTokens + (plan.outputLimit ?? 0) <= limit)
            }
        }
    }
}
