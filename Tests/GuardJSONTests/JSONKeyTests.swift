import Testing

@testable import GuardJSON

struct JSONKeyTests {
    @Test func wordsMatchTheirText() throws {
        let text =
            #"{"":0,"a":1,"12345678":2,"123456789":3,"content_filter_results__":4,"content_filter_results_x_":5,"\u0061b":6,"ab\u0000":7}"#
        let keys = try JSONDocument(Array(text.utf8)).root.members.map(\.key.word)
        func position(_ key: JSONKey) -> Int {
            switch key {
            case "": 0
            case "a": 1
            case "12345678": 2
            case "123456789": 3
            case "content_filter_results__": 4
            case "content_filter_results_x_": 5
            case "ab": 6
            case "ab\0": 7
            default: -1
            }
        }
        // 25 bytes are one too many.
        #expect(keys.map(position) == [0, 1, 2, 3, 4, -1, 6, 7])
        #expect(Set(keys).count == keys.count)
    }
}
