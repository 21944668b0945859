import GuardCore
import Testing

@testable import GuardYAML

@Suite struct YAMLReaderTests {
    private enum Colour: String, CaseIterable { case red, green }

    private func read<T>(_ text: String, _ body: (YAMLReader) -> T) throws -> (T, [String]) {
        let problems = YAMLProblems()
        let document = try YAMLDocument.parse(Array(text.utf8), file: "f")
        let value = body(YAMLReader(document, problems))
        return (value, problems.list.map(\.description))
    }

    @Test func everyProblemInOneRun() throws {
        let text = """
            nmae: x
            size: big
            colour: gren
            count: 12
            wait: 5 parsecs
            flag: yes
            text: 5
            list: {a: 1}
            """
        let (_, problems) = try read(text) { reader in
            guard let map = reader.mapping(keys: ["name", "size", "colour", "count", "wait", "flag", "text", "list"])
            else {
                return
            }
            _ = map.required("name", in: "a thing")
            _ = map["size"]?.byteSize()
            _ = map["colour"]?.choice(of: Colour.self)
            _ = map["count"]?.int(in: 0...10)
            _ = map["wait"]?.duration()
            _ = map["flag"]?.bool()
            _ = map["text"]?.string()
            _ = map["list"]?.items()
        }
        #expect(
            problems == [
                "f:1:1: error: unknown key 'nmae'; did you mean 'name'?",
                "f:1:1: error: missing key 'name' in a thing",
                "f:2:7: error: expected a size in bytes such as 65536, 64KiB or 32MiB, found a string",
                "f:3:9: error: 'gren' is none of red, green; did you mean 'green'?",
                "f:4:8: error: 12 is out of range: 0 to 10",
                "f:5:7: error: expected a duration such as 250ms, 5s, 1m30s or 2h, found a string",
                "f:6:7: error: expected true or false, found a string",
                "f:7:7: error: expected a string, found the number 5; to mean the text, quote it: '5'",
                "f:8:7: error: expected a list, found a mapping",
            ])
    }

    @Test func durationsAndSizes() {
        #expect(YAMLUnits.duration("1m30s") == .seconds(90))
        #expect(YAMLUnits.duration("250ms") == .milliseconds(250))
        #expect(YAMLUnits.duration("0") == .zero)
        #expect(YAMLUnits.duration("1d") == .seconds(86400))
        for wrong in ["", "5", "s", "5x", "-5s", "5 s 3", "99999999999999999999s", "9223372036854775807s", "1.5s"] {
            #expect(YAMLUnits.duration(wrong) == nil, "\(wrong)")
        }
        #expect(YAMLUnits.byteSize("64KiB") == 65536)
        #expect(YAMLUnits.byteSize("10MB") == 10_000_000)
        #expect(YAMLUnits.byteSize("7") == 7)
        for wrong in ["", "-1", "1.5KiB", "KiB", "9223372036854775807GiB", "1TB2"] {
            #expect(YAMLUnits.byteSize(wrong) == nil, "\(wrong)")
        }
    }

    @Test func likelyMeant() {
        let names = ["contextWindow", "maxInputTokens", "match", "mask", "on"]
        #expect(LikelyMeant.name(for: "context_window", among: names) == "contextWindow")
        #expect(LikelyMeant.name(for: "maxInputToken", among: names) == "maxInputTokens")
        #expect(LikelyMeant.name(for: "mtach", among: names) == "match")
        #expect(LikelyMeant.name(for: "zebra", among: names) == nil)
        #expect(LikelyMeant.name(for: "a", among: names) == nil)
        #expect(LikelyMeant.editDistance(Array("abcd".utf8), Array("acbd".utf8)) == 1)
        #expect(LikelyMeant.editDistance(Array("kitten".utf8), Array("sitting".utf8)) == 3)
    }
}
