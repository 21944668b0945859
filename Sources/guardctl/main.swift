print("guardctl")
