import Foundation
import GuardAssembly
import GuardCore
import GuardJSON
import GuardLLMSchema
import GuardPolicy
import GuardTesting
import GuardTokenizers
import Testing

@testable import GuardControl

/// What is deduced from two sides' figures.
@Suite struct DiagnosisTests {
    private static let own: Result<OwnCounting, any Error> = Result {
        let model = try ServedModel.load(path: TestData.fixtures.appending(path: "tokenizers/byte-level").path)
        return OwnCounting(builder: model.promptBuilder(.hf))
    }

    private func own() throws -> OwnCounting { try Self.own.get() }

    private func cases() throws -> [VerifyCase] { try VerifyCase.builtIn(specials: ["<|bos|>", "<|end|>"]) }

    /// All built-in cases, with what `change` makes of our own count on the server's side.
    private func observations(
        _ change: (VerifyCase, inout CountedPrompt) throws -> Void
    ) throws -> [Observation] {
        let counting = try own()
        return try cases().map { testCase in
            let ours = counting.counted(testCase.input)
            var theirs = ours
            theirs.rendered = nil
            try change(testCase, &theirs)
            return Observation(testCase: testCase, ours: ours, theirs: theirs)
        }
    }

    private func causes(_ observations: [Observation]) throws -> [String: Difference.Cause] {
        let diagnosis = Diagnosis(observations, try own())
        var causes: [String: Difference.Cause] = [:]
        for observation in observations { causes[observation.testCase.name] = diagnosis.difference(observation)?.cause }
        return causes
    }

    @Test func equalCountsAreNoDifference() throws {
        #expect(try causes(observations { _, _ in }).isEmpty)
        #expect(try causes(observations { _, theirs in theirs.ids = nil }).isEmpty)
        #expect(try cases().count == 29)
    }

    @Test func equalCountsOfOtherIDsAreADifference() throws {
        let found = try causes(
            observations { testCase, theirs in if testCase.name == "text-code" { theirs.ids?[3] += 1 } })
        #expect(found == ["text-code": .tokenizer])
    }

    @Test func renderedTextNamesTheTemplate() throws {
        let found = try causes(
            observations { testCase, theirs in
                guard testCase.name == "chat-turns" else { return }
                theirs.rendered = Array("something else".utf8)
                theirs.ids = [1, 2, 3]
                theirs.count = 3
            })
        #expect(found == ["chat-turns": .template])
    }

    @Test func idsAreReadBackWhereThereIsNoRenderedText() throws {
        let tokenizer = try own().tokenizer
        let found = try causes(
            observations { testCase, theirs in
                guard testCase.name == "chat-turns" else { return }
                let ids = tokenizer.encode(Array("<|bos|>another prompt".utf8), addSpecialTokens: false).map(\.value)
                (theirs.ids, theirs.count) = (ids, ids.count)
            })
        #expect(found == ["chat-turns": .template])
    }

    @Test func missingStartTokensAreSpecials() throws {
        let found = try causes(
            observations { testCase, theirs in
                guard testCase.isText else { return }
                theirs.ids?.removeFirst()
                theirs.count -= 1
            })
        #expect(Set(found.values) == [.specials] && found.count == 15)
        // The same from counts alone: one offset for all texts.
        let counted = try causes(
            observations { testCase, theirs in
                theirs.ids = nil
                if testCase.isText { theirs.count -= 1 }
            })
        #expect(Set(counted.values) == [.specials] && counted.count == 15)
    }

    @Test func specialStringsAsTextAreSpecials() throws {
        let counting = try own()
        func asText(_ testCase: VerifyCase, _ theirs: inout CountedPrompt) {
            guard testCase.hasSpecialStrings, case .text(let text) = testCase.input else { return }
            let ids = counting.tokenizer.encode(text, specials: .asText, addSpecialTokens: true).map(\.value)
            (theirs.ids, theirs.count) = (ids, ids.count)
        }
        let names: Set<String> = ["text-special-1", "text-special-2"]
        let byIDs = try causes(observations { asText($0, &$1) })
        #expect(Set(byIDs.keys) == names && Set(byIDs.values) == [.specials])
        let byCounts = try causes(
            observations { testCase, theirs in
                asText(testCase, &theirs)
                theirs.ids = nil
            })
        #expect(Set(byCounts.keys) == names && Set(byCounts.values) == [.specials])
    }

    @Test func countsAloneNameTheTemplateOnlyWhereTextsAgree() throws {
        func longer(_ testCase: VerifyCase, _ theirs: inout CountedPrompt) {
            theirs.ids = nil
            if case .chat(let chat) = testCase.input { theirs.count += 2 * chat.messages.count }
        }
        #expect(Set(try causes(observations { longer($0, &$1) }).values) == [.template])
        // With texts that differ, and without texts, it could be anything.
        let others = try causes(
            observations { testCase, theirs in
                longer(testCase, &theirs)
                if testCase.name == "text-code" { theirs.count += 3 }
            })
        #expect(others["text-code"] == .tokenizer && others["chat-turns"] == .unknown)
        let chats = try observations { longer($0, &$1) }.filter { !$0.testCase.isText }
        #expect(Set(try causes(chats).values) == [.unknown])
    }

    @Test func oneMoreForEveryConversationIsTheStartToken() throws {
        let found = try causes(
            observations { testCase, theirs in
                theirs.ids = nil
                if !testCase.isText { theirs.count += 1 }
            })
        #expect(Set(found.values) == [.specials])
    }

    @Test func refusals() throws {
        let found = try causes(
            observations { testCase, theirs in
                if testCase.name == "chat-system" { theirs.refusal = "400: Conversation roles must alternate" }
                if testCase.name == "chat-empty" { theirs.refusal = "400: something" }
            })
        #expect(found == ["chat-system": .template, "chat-empty": .unknown])
        // Both refuse: the same.
        var both = Observation(testCase: try cases()[0], ours: CountedPrompt(), theirs: CountedPrompt(refusal: "400"))
        both.ours.refusal = "raised"
        #expect(both.isEqual)
        both.theirs.refusal = nil
        #expect(Diagnosis([both], try own()).difference(both)?.cause == .template)
    }

    /// Whatever a server says, there is an answer.
    @Test func anyIDsGetAnAnswer() throws {
        var random = SeededRandom(seed: 4)
        for _ in 0..<20 {
            let observations = try observations { _, theirs in
                switch Int.random(in: 0...3, using: &random) {
                case 0: theirs.ids = (0..<Int.random(in: 0...9, using: &random)).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
                case 1: theirs.ids = nil
                case 2: theirs.ids = []
                default: theirs.rendered = (0..<Int.random(in: 0...9, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
                }
                theirs.count = theirs.ids?.count ?? Int.random(in: 0...100, using: &random)
            }
            let diagnosis = Diagnosis(observations, try own())
            for observation in observations {
                #expect((diagnosis.difference(observation) == nil) == observation.isEqual)
            }
        }
    }
}
