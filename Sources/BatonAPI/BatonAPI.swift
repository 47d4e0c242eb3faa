// BatonAPI
